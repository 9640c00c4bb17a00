//! `PUT …/books/{accountId}/{currency}` (contract section 0, A4, Clarifications).

use axum::extract::State as AxumState;
use axum::response::{IntoResponse as _, Response};
use florin_platform::http::auth::Caller;
use florin_platform::http::json::{Json, JsonBytes, Path};
use florin_platform::http::problem::Problem;
use florin_platform::http::router::{RouteSpec, Routes};
use florin_platform::sql::query as sql;
use serde::Serialize;
use utoipa::OpenApi;

use super::{Shared, actor, money, permission, problem, query, scope};
use crate::intake::{Member, members};
use crate::model::amount::parse_signed;
use crate::model::{BookId, Money, MoneyForm, Policy, Rules};
use crate::store::record::kind;
use crate::store::{NewRecord, Session, WriteError, read};

/// Longest grace in seconds (contract A4).
const GRACE_MAX: i64 = 86_400;

#[derive(OpenApi)]
#[openapi(paths(put, get))]
struct Document;

pub(super) fn routes() -> Routes<Shared> {
    let path = "/api/v1/shadow/books/{accountId}/{currency}";
    Routes::new()
        .route(RouteSpec::put(path, permission::CONFIGURE), put)
        .route(RouteSpec::get(path, permission::READ), get)
        .document(Document::openapi())
}

/// What is to change; `None`: stays.
#[derive(Debug, Default, Clone)]
struct Wanted {
    floor: Option<Option<i128>>,
    policy: Option<Policy>,
    grace_seconds: Option<i64>,
    zone: Option<String>,
    tolerance: Option<String>,
}

/// A book's settings.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown {
    account_id: String,
    currency: String,
    floor: Option<Money>,
    policy: String,
    grace_seconds: i64,
    zone: String,
    tolerance: Option<serde_json::Value>,
    linked: bool,
    events: i64,
}

/// Set what decides in a book.
#[utoipa::path(
    put, path = "/api/v1/shadow/books/{accountId}/{currency}", tag = "Shadow ledger",
    params(("accountId" = String, Path), ("currency" = String, Path)),
    request_body(content = Object, description = "`floor` (null: none), `policy`, `graceSeconds`, `zone`, `tolerance`"),
    responses(
        (status = 200, description = "The settings in force"),
        (status = 409, description = "`floor_violated`, `policy_fixed`"),
    )
)]
async fn put(
    AxumState(api): AxumState<Shared>,
    caller: Caller,
    Path((account_id, currency)): Path<(String, String)>,
    body: Result<JsonBytes, Problem>,
) -> Result<Response, Problem> {
    let JsonBytes(bytes) = body.map_err(problem::ours)?;
    let book = query::book(&api.shadow, &account_id, Some(&currency))?;
    scope::check(&caller, &book.account_id)?;
    let wanted = parse(&api, &book, &bytes)?;
    let by = actor(&caller);
    let id = book.clone();
    let text = String::from_utf8_lossy(&bytes).into_owned();
    api.shadow
        .write(move |session| {
            Box::pin(async move { change(session, &id, wanted, by, &text).await })
        })
        .await
        .map_err(Problem::from)?;
    shown(&api, &book).await
}

/// The settings of a book.
#[utoipa::path(
    get, path = "/api/v1/shadow/books/{accountId}/{currency}", tag = "Shadow ledger",
    params(("accountId" = String, Path), ("currency" = String, Path)),
    responses((status = 200, description = "The settings in force"))
)]
async fn get(
    AxumState(api): AxumState<Shared>,
    caller: Caller,
    Path((account_id, currency)): Path<(String, String)>,
) -> Result<Response, Problem> {
    let book = query::book(&api.shadow, &account_id, Some(&currency))?;
    scope::check(&caller, &book.account_id)?;
    shown(&api, &book).await
}

async fn shown(api: &Shared, book: &BookId) -> Result<Response, Problem> {
    let row = read::book(api.shadow.db(), book).await?;
    let settings = api.shadow.settings();
    let rules = settings.rules();
    let print = |floor| money::print(&api.shadow, &book.currency, floor, MoneyForm::Number);
    let shown = match row {
        Some(row) => Shown {
            account_id: row.id.account_id,
            currency: row.id.currency,
            floor: row.floor.map(print),
            policy: row.policy,
            grace_seconds: row.grace_ms / 1_000,
            zone: row.zone.unwrap_or_else(|| "UTC".to_owned()),
            tolerance: row
                .tolerance
                .and_then(|text| serde_json::from_str(&text).ok()),
            linked: row.linked,
            events: row.events,
        },
        None => Shown {
            account_id: book.account_id.clone(),
            currency: book.currency.clone(),
            floor: rules.floor.map(print),
            policy: rules.policy.as_str().to_owned(),
            grace_seconds: settings.grace_ms / 1_000,
            zone: "UTC".to_owned(),
            tolerance: None,
            linked: false,
            events: 0,
        },
    };
    Ok(Json(shown).into_response())
}

fn parse(api: &Shared, book: &BookId, bytes: &[u8]) -> Result<Wanted, Problem> {
    let Some(found) = members(bytes) else {
        let message = "The body must be one JSON object.";
        return Err(problem::field("", "malformed_json", message));
    };
    let mut wanted = Wanted::default();
    let mut seen: Vec<String> = Vec::new();
    for member in &found {
        if seen.iter().any(|name| *name == *member.name) {
            let message = "The field is given more than once.";
            return Err(problem::field(&member.name, "duplicate_field", message));
        }
        seen.push(member.name.to_string());
        read_member(api, book, member, &mut wanted)?;
    }
    Ok(wanted)
}

fn read_member(
    api: &Shared,
    book: &BookId,
    member: &Member<'_>,
    wanted: &mut Wanted,
) -> Result<(), Problem> {
    let raw = member.raw;
    let text = || serde_json::from_str::<String>(raw).ok();
    let wrong = |message: &str| problem::field(&member.name, "validation_failed", message);
    match &*member.name {
        "floor" if raw == "null" => wanted.floor = Some(None),
        "floor" => {
            let scale = api.shadow.currencies().scale(&book.currency).unwrap_or(0);
            let given = text().unwrap_or_else(|| raw.to_owned());
            let floor = parse_signed(&given, scale)
                .map_err(|fault| problem::field("floor", fault.code(), format!("It {fault}.")))?;
            wanted.floor = Some(Some(floor));
        }
        "policy" => {
            let policy = text().and_then(|word| Policy::from_word(&word));
            let message = "The policy is `watermark`, `derived` or `arrival`.";
            wanted.policy = Some(policy.ok_or_else(|| wrong(message))?);
        }
        "graceSeconds" => {
            let seconds: Option<i64> = raw.parse().ok();
            let within = seconds.filter(|seconds| (0..=GRACE_MAX).contains(seconds));
            let message = "The grace is 0 to 86400 whole seconds.";
            wanted.grace_seconds = Some(within.ok_or_else(|| wrong(message))?);
        }
        "zone" => {
            let zone = text().filter(|zone| is_zone(zone));
            let message = "The zone is `UTC` or an offset such as `-03:00`.";
            wanted.zone = Some(zone.ok_or_else(|| wrong(message))?);
        }
        "tolerance" => {
            let known = members(raw.as_bytes()).is_some_and(|all| {
                all.iter()
                    .all(|member| matches!(&*member.name, "absolute" | "percent"))
            });
            if !known {
                return Err(wrong("The tolerance is `{absolute, percent}`."));
            }
            wanted.tolerance = Some(raw.to_owned());
        }
        name => {
            let message = format!("The field `{name}` is not known here.");
            return Err(problem::field(name, "unknown_field", message));
        }
    }
    Ok(())
}

/// `UTC` or a fixed offset; names of regions would need a table that changes with politics.
fn is_zone(text: &str) -> bool {
    if text == "UTC" || text == "Z" {
        return true;
    }
    let Some(rest) = text.strip_prefix(['+', '-']) else {
        return false;
    };
    let digits = |part: &str, most: u32| {
        part.len() == 2 && part.parse::<u32>().is_ok_and(|number| number <= most)
    };
    rest.split_once(':')
        .is_some_and(|(hours, minutes)| digits(hours, 14) && digits(minutes, 59))
}

async fn change(
    session: &mut Session,
    id: &BookId,
    wanted: Wanted,
    by: crate::store::Actor,
    text: &str,
) -> Result<(), WriteError> {
    let book = session.book(id).await?;
    let (old, linked, empty, lowest) = (book.rules, book.linked, book.is_empty(), book.lowest());
    let number = book.number;
    let policy = wanted.policy.unwrap_or(old.policy);
    let grace = wanted
        .grace_seconds
        .map_or(old.grace_micros, |seconds| seconds * 1_000_000);
    if policy != old.policy && !empty {
        return Err(WriteError::Refused(problem::conflict(
            "policy_fixed",
            "The policy of a book is fixed once it has events.",
        )));
    }
    let floor = wanted.floor.unwrap_or(old.floor);
    let broken = |floor: i128| lowest.is_some_and(|low| low < floor);
    if wanted.floor.is_some() && floor.is_some_and(broken) {
        return Err(WriteError::Refused(problem::conflict(
            "floor_violated",
            "The balance was below that floor already.",
        )));
    }
    let rules = Rules {
        floor,
        policy,
        grace_micros: grace,
    };
    let body = serde_json::json!({
        "floor": floor.map(|floor| floor.to_string()),
        "policy": policy.as_str(),
        "graceMs": grace / 1_000,
        "before": {
            "floor": old.floor.map(|floor| floor.to_string()),
            "policy": old.policy.as_str(),
            "graceMs": old.grace_micros / 1_000,
        },
        "request": text,
    });
    let subject = format!("book:{id}");
    session.append(
        NewRecord::new(kind::SETTING, by.clone(), &body)
            .about(id)
            .subject(subject),
    );
    session.set_rules(id, rules, linked, &by);
    session.flush().await?;
    if let Some(zone) = wanted.zone {
        let update = sql("UPDATE shadow_books SET zone = $1 WHERE book_id = $2")
            .bind(zone)
            .bind(number);
        session.tx().execute(update).await?;
    }
    if let Some(tolerance) = wanted.tolerance {
        let update = sql("UPDATE shadow_books SET tolerance = $1 WHERE book_id = $2")
            .bind(tolerance)
            .bind(number);
        session.tx().execute(update).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_are_fixed_offsets() {
        for good in ["UTC", "Z", "-03:00", "+05:30", "+14:00"] {
            assert!(is_zone(good), "{good}");
        }
        for bad in ["", "BRT", "-3:00", "+15:00", "+00:60", "America/Sao_Paulo"] {
            assert!(!is_zone(bad), "{bad}");
        }
    }
}
