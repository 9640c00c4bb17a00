//! `/ledger/accounts`: create, show, list, PATCH, balance (contract A1, A5, A6, A7).

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use florin_ledger::{
    Call, Outcome, Query, View,
    call::{AccountView, CallKey, CreateAccount},
    model::{AccountId, AccountKind, Floor, Metadata, Side},
    rules::prepare::{RawPairs, is_asset_code, parse_minor},
};
use florin_platform::http::{
    auth::Caller,
    idempotency::{IdempotencyKey, replayed},
    json::{Json, Path},
    problem::{Problem, Status as HttpStatus},
};
use http::StatusCode;
use serde::Deserialize;
use utoipa::ToSchema;

use super::{
    params::Params,
    render::{AccountBody, BalanceBody},
    support::{account_not_found, blocking, fresh, located, refused, unavailable, with_seq},
};
use crate::api::{Shared, answer::MinSeq};

mod list;
mod patch;

#[doc(hidden)]
pub use list::__path_list;
pub use list::list;
#[doc(hidden)]
pub use patch::__path_patch;
pub use patch::patch;

/// A new account.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = LedgerAccountRequest)]
pub struct Request {
    /// `^[A-Za-z0-9][A-Za-z0-9:._@-]{0,127}$`; made by the server when left out.
    #[schema(example = "customer:42")]
    pub id: Option<Box<str>>,
    /// Its asset; never changes.
    #[schema(example = "BRL")]
    pub asset: Box<str>,
    /// asset, liability, equity, income or expense; never changes.
    #[schema(example = "liability")]
    pub kind: Box<str>,
    /// debit or credit; the kind's usual side when left out.
    pub normal_side: Option<Box<str>>,
    /// Default false: it may not end below zero.
    pub may_overdraw: Option<bool>,
    /// How far below zero, -(2^127) to 0; needs `mayOverdraw`.
    #[schema(example = "-50000")]
    pub floor_minor: Option<Box<str>>,
    /// Caller's own pairs.
    #[schema(value_type = Option<std::collections::HashMap<String, String>>)]
    pub metadata: Option<RawPairs>,
}

/// What a member must be, with its name.
pub type Fault = (&'static str, String);

/// Reads `mayOverdraw` with `floorMinor` (contract A1).
fn read_floor(may_overdraw: bool, floor_minor: Option<&str>) -> Result<Floor, Fault> {
    let Some(text) = floor_minor else {
        return Ok(if may_overdraw {
            Floor::None
        } else {
            Floor::Zero
        });
    };
    if !may_overdraw {
        return Err(("floorMinor", "Needs `mayOverdraw` true.".to_owned()));
    }
    let magnitude = match text.strip_prefix('-') {
        Some("0") => None,
        Some(digits) => parse_minor(digits),
        None => parse_minor(text).filter(|value| *value == 0),
    };
    magnitude
        .filter(|value| *value <= 1 << 127)
        .map(Floor::Minus)
        .ok_or_else(|| {
            (
                "floorMinor",
                "Must be a whole number from -(2^127) to 0.".to_owned(),
            )
        })
}

fn read_metadata(pairs: Option<RawPairs>) -> Result<Metadata, Fault> {
    Metadata::try_new(pairs.map(|pairs| pairs.0).unwrap_or_default())
        .map_err(|why| ("metadata", why.to_owned()))
}

impl Request {
    /// Judges the grammar; `own_id` is used when the body brought none.
    pub fn into_call(
        self,
        actor: Option<Box<str>>,
        own_id: impl FnOnce() -> Box<str>,
    ) -> Result<CreateAccount, Fault> {
        let text = self.id.unwrap_or_else(own_id);
        let Some(id) = AccountId::parse(&text) else {
            return Err((
                "id",
                "Must match ^[A-Za-z0-9][A-Za-z0-9:._@-]{0,127}$.".to_owned(),
            ));
        };
        if !is_asset_code(&self.asset) {
            return Err(("asset", "Must be the code of an asset.".to_owned()));
        }
        let Some(kind) = AccountKind::from_word(&self.kind) else {
            let kinds = "Must be asset, liability, equity, income or expense.";
            return Err(("kind", kinds.to_owned()));
        };
        let normal = match self.normal_side.as_deref().map(Side::from_word) {
            Some(None) => return Err(("normalSide", "Must be debit or credit.".to_owned())),
            given => given.flatten(),
        };
        let may_overdraw = self.may_overdraw.unwrap_or(false);
        Ok(CreateAccount {
            actor,
            id,
            asset: self.asset,
            kind,
            normal,
            floor: read_floor(may_overdraw, self.floor_minor.as_deref())?,
            metadata: read_metadata(self.metadata)?,
            key: None,
        })
    }
}

fn invalid((field, message): Fault) -> Problem {
    Problem::validation(field, message)
}

/// Opens an account. The same body again is answered with the account; another one is refused.
#[utoipa::path(
    post, path = "/api/v1/ledger/accounts", tag = "Ledger",
    request_body = Request,
    params(("Idempotency-Key" = Option<String>, Header, description = "Identity when `id` is left out")),
    responses(
        (status = 201, description = "Opened", body = AccountBody),
        (status = 200, description = "It was there already, equal", body = AccountBody),
        (status = 403, description = "`reserved_prefix`: ids starting `florin:` are Florin's own"),
        (status = 404, description = "`asset_not_found`"),
        (status = 409, description = "`idempotency_conflict`: the id is taken by another account"),
    )
)]
pub async fn post(
    State(api): State<Shared>,
    caller: Caller,
    key: IdempotencyKey,
    Json(request): Json<Request>,
) -> Result<Response, Problem> {
    let made = request.id.is_none();
    let actor: Option<Box<str>> = Some((*caller.subject).into());
    let mut call = request
        .into_call(actor, || api.ledger.new_id().to_string().into())
        .map_err(invalid)?;
    if call.id.is_reserved() {
        return Err(Problem::field(
            HttpStatus::Forbidden,
            "reserved_prefix",
            "id",
            "Ids starting with `florin:` are kept for Florin.",
        ));
    }
    if let (true, Some(key)) = (made, key.0) {
        call.key = Some(CallKey {
            scope: (*caller.subject).into(),
            key: key.into(),
            digests: digests(&call),
        });
    }
    let answer = api
        .ledger
        .submit(Call::CreateAccount(call))
        .await
        .map_err(unavailable)?;
    if let Outcome::Refused(refusal) = &answer.outcome {
        return Err(name_member(refused(refusal)));
    }
    let view = answer
        .account
        .ok_or_else(|| Problem::internal("no account in the answer"))?;
    let body = AccountBody::new(&api.ledger, &view);
    let location = format!("/api/v1/ledger/accounts/{}", body.id);
    let status = if answer.replayed {
        StatusCode::OK
    } else {
        StatusCode::CREATED
    };
    let response = located(Json(body).into_response(), status, &location);
    let response = with_seq(response, answer.seq);
    Ok(if answer.replayed {
        replayed(response)
    } else {
        response
    })
}

/// The members compared under an `Idempotency-Key`, in order.
const MEMBERS: [&str; 5] = ["asset", "kind", "normalSide", "mayOverdraw", "metadata"];

fn digests(call: &CreateAccount) -> Vec<u64> {
    use sha2::{Digest, Sha256};
    let members = [
        call.asset.to_string(),
        call.kind.to_string(),
        call.normal.unwrap_or(call.kind.usual_side()).to_string(),
        format!("{:?}", call.floor),
        format!("{:?}", call.metadata.pairs()),
    ];
    let digest = |member: &String| {
        let bytes: [u8; 32] = Sha256::digest(member).into();
        bytes[..8]
            .iter()
            .fold(0, |value, byte| value << 8 | u64::from(*byte))
    };
    members.iter().map(digest).collect()
}

/// Names the member whose digest differs first.
fn name_member(problem: Problem) -> Problem {
    let place = problem.errors().first().and_then(|error| {
        let index = error.field.strip_prefix("transfers[")?.strip_suffix(']')?;
        index.parse::<usize>().ok()
    });
    match place.and_then(|index| MEMBERS.get(index)) {
        Some(member) => Problem::field(
            problem.status(),
            "idempotency_conflict",
            *member,
            "Differs from the first call with this key.",
        )
        .with("field", *member)
        .refused(),
        None => problem,
    }
}

/// An account as of now.
async fn find(api: &Shared, id: AccountId) -> Result<Box<AccountView>, Problem> {
    match api
        .ledger
        .query(Query::Account(id))
        .await
        .map_err(unavailable)?
    {
        View::Account(found) => found.ok_or_else(account_not_found),
        _ => Err(Problem::internal("Account is answered by Account")),
    }
}

/// Shows an account.
#[utoipa::path(
    get, path = "/api/v1/ledger/accounts/{id}", tag = "Ledger",
    params(("id" = String, Path, description = "Id of the account")),
    responses(
        (status = 200, description = "The account", body = AccountBody),
        (status = 404, description = "`account_not_found`"),
    )
)]
pub async fn get(
    State(api): State<Shared>,
    min: MinSeq,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let id = AccountId::parse(&id).ok_or_else(account_not_found)?;
    let view = find(&api, id).await?;
    min.check(view.as_of_seq)?;
    let body = AccountBody::new(&api.ledger, &view);
    Ok(with_seq(Json(body).into_response(), view.as_of_seq))
}

/// Shows an account's totals, now or at a pair of times (contract A7).
#[utoipa::path(
    get, path = "/api/v1/ledger/accounts/{id}/balance", tag = "Ledger",
    params(
        ("id" = String, Path, description = "Id of the account"),
        ("effectiveAt" = Option<String>, Query, description = "Count what is effective up to this time"),
        ("recordedAt" = Option<String>, Query, description = "Count what was recorded up to this time"),
    ),
    responses(
        (status = 200, description = "The totals", body = BalanceBody),
        (status = 404, description = "`account_not_found`"),
    )
)]
pub async fn balance(
    State(api): State<Shared>,
    min: MinSeq,
    Path(id): Path<String>,
    mut params: Params,
) -> Result<Response, Problem> {
    fresh(&api, min).await?;
    let effective = params.time("effectiveAt")?;
    let recorded = params.time("recordedAt")?;
    params.end()?;
    let id = AccountId::parse(&id).ok_or_else(account_not_found)?;
    let body = if effective.is_none() && recorded.is_none() {
        let view = find(&api, id).await?;
        BalanceBody::new(&api.ledger, &view.facts, &view.totals, view.as_of_seq)
    } else {
        let found = api.ledger.slot_of(&id).await.map_err(unavailable)?;
        let slot = found.ok_or_else(account_not_found)?;
        let (totals, seq) = blocking(&api.ledger, move |view| {
            let totals = view.totals_at(slot, effective, recorded)?;
            let seq = recorded.map_or(Ok(view.seq()), |at| view.seq_at(at))?;
            Ok((totals, seq))
        })
        .await?;
        let mut body = BalanceBody::new(&api.ledger, &api.ledger.facts(slot), &totals, seq);
        body.effective_at = effective;
        body.recorded_at = recorded;
        body
    };
    let seq = body.as_of_seq;
    Ok(with_seq(Json(body).into_response(), seq))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floors_are_read_by_the_rules_of_a1() {
        assert_eq!(read_floor(false, None), Ok(Floor::Zero));
        assert_eq!(read_floor(true, None), Ok(Floor::None));
        assert_eq!(read_floor(true, Some("-500")), Ok(Floor::Minus(500)));
        assert_eq!(read_floor(true, Some("0")), Ok(Floor::Minus(0)));
        let lowest = format!("-{}", 1_u128 << 127);
        assert_eq!(read_floor(true, Some(&lowest)), Ok(Floor::Minus(1 << 127)));
        let below = format!("-{}", (1_u128 << 127) + 1);
        for (may, text) in [
            (false, "-5"),
            (true, "5"),
            (true, "-0"),
            (true, "-05"),
            (true, &below),
        ] {
            assert!(read_floor(may, Some(text)).is_err(), "{may} {text}");
        }
    }
}
