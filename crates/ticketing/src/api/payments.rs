//! `/payments/…`: where the provider's webhooks arrive, and what administrators see (contract C5).

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use florin_base::Timestamp;
use florin_platform::http::auth::Access;
use florin_platform::http::json::{Json, RawBody};
use florin_platform::http::limit::LimitClass;
use florin_platform::http::page::{FilterDigest, Page, PageLimits, Position};
use florin_platform::http::problem::{Problem, Status};
use florin_platform::http::router::{RouteSpec, Routes};
use florin_platform::sql::{Query as Sql, Row};
use http::HeaderMap;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, OpenApi, ToSchema};

use super::input::Search;
use super::money::print;
use super::permission;
use crate::Ticketing;
use crate::card::inbox::{self, Source};
use crate::card::provider::BadWebhook;
use crate::card::{disputes, reconcile};

#[derive(OpenApi)]
#[openapi(paths(webhook, list_inbox, list_disputes, reconciliation))]
struct Document;

/// Routes of card payments.
pub fn routes() -> Routes<Ticketing> {
    let hook = "/api/v1/payments/stripe/webhook";
    Routes::new()
        .route(
            // The provider sends from few addresses and as fast as we sell.
            RouteSpec::post(hook, Access::Public).class(LimitClass::None),
            webhook,
        )
        .route(
            RouteSpec::get("/api/v1/payments/inbox", permission::TICKETING_ADMIN),
            list_inbox,
        )
        .route(
            RouteSpec::get("/api/v1/payments/disputes", permission::TICKETING_ADMIN),
            list_disputes,
        )
        .route(
            RouteSpec::get(
                "/api/v1/payments/reconciliation",
                permission::TICKETING_ADMIN,
            ),
            reconciliation,
        )
        .document(Document::openapi())
}

/// Events of the card payment provider.
///
/// Answers 200 when the effect is durable, also for an event that was taken before; anything else
/// makes the provider send it again.
#[utoipa::path(
    post, path = "/api/v1/payments/stripe/webhook", tag = "Ticketing payments",
    request_body(content = Object, content_type = "application/json"),
    responses(
        (status = 200, description = "Taken"),
        (status = 400, description = "`signature_invalid`"),
        (status = 500, description = "Not taken; sent again by the provider"),
    )
)]
async fn webhook(
    State(room): State<Ticketing>,
    headers: HeaderMap,
    RawBody(body): RawBody,
) -> Result<Response, Problem> {
    let Some(provider) = room.card.as_deref() else {
        return Err(bad_signature());
    };
    let signature = headers.get("stripe-signature");
    let signature = signature.and_then(|value| value.to_str().ok());
    let now = room.now().div_euclid(1_000_000);
    let event = provider
        .webhook(signature, &body, now)
        .map_err(|bad| match bad {
            BadWebhook::Signature => bad_signature(),
            BadWebhook::Body => Problem::validation("", "The body is no event."),
        })?;
    match inbox::receive(&room, &event, Source::Webhook).await {
        Ok(()) => Ok(Json(serde_json::json!({"received": true})).into_response()),
        // The provider knows one answer for "not done": try again.
        Err(problem) => Err(Problem::internal(problem)),
    }
}

fn bad_signature() -> Problem {
    Problem::new(
        Status::BadRequest,
        "signature_invalid",
        "The signature is missing, too old, or made with another secret.",
    )
}

/// Filters of the inbox.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct InboxFilters {
    /// `received`, `done`, `ignored` or `failed`.
    state: Option<String>,
    /// 1 to 500, default 50.
    limit: Option<u32>,
    /// From `nextCursor`.
    cursor: Option<String>,
}

/// An event of the provider.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = TicketingPaymentEvent)]
struct InboxEvent {
    provider: String,
    event_id: String,
    #[serde(rename = "type")]
    kind: String,
    object_id: String,
    /// `webhook`, or `poller` for what was never delivered.
    source: String,
    /// `received`, `done`, `ignored` or `failed`.
    state: String,
    fault: Option<String>,
    tries: i64,
    #[schema(value_type = String)]
    happened_at: Timestamp,
    #[schema(value_type = String)]
    received_at: Timestamp,
    #[schema(value_type = Option<String>)]
    done_at: Option<Timestamp>,
}

fn inbox_event(row: &Row) -> Result<InboxEvent, Problem> {
    Ok(InboxEvent {
        provider: row.get("provider")?,
        event_id: row.get("event_id")?,
        kind: row.get("kind")?,
        object_id: row.get("object_id")?,
        source: row.get("source")?,
        state: row.get("state")?,
        fault: row.get("fault")?,
        tries: row.get("tries")?,
        happened_at: Timestamp(row.get("happened_at")?),
        received_at: Timestamp(row.get("received_at")?),
        done_at: row.get::<Option<i64>>("done_at")?.map(Timestamp),
    })
}

/// What the provider told, newest first.
#[utoipa::path(
    get, path = "/api/v1/payments/inbox", tag = "Ticketing payments", params(InboxFilters),
    responses((status = 200, description = "A page of events", body = Vec<InboxEvent>))
)]
async fn list_inbox(
    State(room): State<Ticketing>,
    Search(filters): Search<InboxFilters>,
) -> Result<Response, Problem> {
    let size = PageLimits::default().resolve(filters.limit)?;
    let state = filters.state.as_deref();
    let digest = FilterDigest::new("payment inbox", state.map(|word| ("state", word)));
    let after = place(&room, digest, filters.cursor.as_deref())?;
    let (time, id) = after.unwrap_or((i64::MAX, String::new()));
    let narrow = if state.is_some() {
        "AND state = $4"
    } else {
        ""
    };
    let text = format!(
        "SELECT provider, event_id, kind, object_id, source, state, fault, tries, happened_at,
         received_at, done_at FROM tk_card_inbox
         WHERE (received_at < $1 OR (received_at = $1 AND event_id < $2)) {narrow}
         ORDER BY received_at DESC, event_id DESC LIMIT $3"
    );
    let limit = i64::try_from(size + 1).unwrap_or(i64::MAX);
    let mut statement = Sql::assembled(text).bind(time).bind(&id).bind(limit);
    if let Some(state) = state {
        statement = statement.bind(state);
    }
    let rows = room.store.db.fetch_all(statement).await?;
    let items: Vec<InboxEvent> = rows.iter().map(inbox_event).collect::<Result<_, _>>()?;
    let last = |item: &InboxEvent| (item.received_at.micros(), item.event_id.clone());
    Ok(Json(page(&room, digest, items, size, last)).into_response())
}

/// Filters of disputes.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
struct DisputeFilters {
    /// `inquiry`, `open`, `won`, `lost` or `closed`.
    state: Option<String>,
    /// Of this order.
    order_id: Option<String>,
    /// 1 to 500, default 50.
    limit: Option<u32>,
    /// From `nextCursor`.
    cursor: Option<String>,
}

/// A dispute of a card payment.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = TicketingDispute)]
struct Dispute {
    id: String,
    provider_id: String,
    order_id: String,
    event_id: String,
    org_id: String,
    /// `inquiry`, `open`, `won`, `lost` or `closed`.
    state: String,
    currency: String,
    amount: String,
    /// What the provider took for it.
    fee: String,
    #[schema(value_type = Option<String>)]
    opened_at: Option<Timestamp>,
    #[schema(value_type = Option<String>)]
    closed_at: Option<Timestamp>,
    #[schema(value_type = String)]
    created_at: Timestamp,
}

/// Disputes, newest first.
#[utoipa::path(
    get, path = "/api/v1/payments/disputes", tag = "Ticketing payments", params(DisputeFilters),
    responses((status = 200, description = "A page of disputes", body = Vec<Dispute>))
)]
async fn list_disputes(
    State(room): State<Ticketing>,
    Search(filters): Search<DisputeFilters>,
) -> Result<Response, Problem> {
    let size = PageLimits::default().resolve(filters.limit)?;
    let given = [
        ("state", filters.state.as_deref()),
        ("order_id", filters.order_id.as_deref()),
    ];
    let given: Vec<(&str, &str)> = given
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .collect();
    let digest = FilterDigest::new("payment disputes", given.iter().copied());
    let after = place(&room, digest, filters.cursor.as_deref())?;
    let (time, id) = after.unwrap_or((i64::MAX, String::new()));
    let mut text = "WHERE (created_at < $1 OR (created_at = $1 AND id < $2))".to_owned();
    for (index, (name, _)) in given.iter().enumerate() {
        text.push_str(&format!(" AND {name} = ${}", index + 4));
    }
    text.push_str(" ORDER BY created_at DESC, id DESC LIMIT $3");
    let limit = i64::try_from(size + 1).unwrap_or(i64::MAX);
    let statement = disputes::select(&text).bind(time).bind(&id).bind(limit);
    let statement = given
        .iter()
        .fold(statement, |statement, (_, value)| statement.bind(*value));
    let rows = room.store.db.fetch_all(statement).await?;
    let rows: Vec<_> = rows
        .iter()
        .map(disputes::dispute)
        .collect::<Result<_, _>>()?;
    let items = rows.into_iter().map(|row| shown(&room, row)).collect();
    let last = |item: &Dispute| (item.created_at.micros(), item.id.clone());
    Ok(Json(page(&room, digest, items, size, last)).into_response())
}

fn shown(room: &Ticketing, row: disputes::DisputeRow) -> Dispute {
    let scale = room.settings.scale(&row.currency).unwrap_or(2);
    Dispute {
        id: row.id,
        provider_id: row.provider_id,
        order_id: row.order_id,
        event_id: row.event_id,
        org_id: row.org_id,
        state: row.state,
        amount: print(row.amount, scale),
        fee: print(row.fee, scale),
        currency: row.currency,
        opened_at: row.opened_at.map(Timestamp),
        closed_at: row.closed_at.map(Timestamp),
        created_at: Timestamp(row.created_at),
    }
}

/// Which day.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Day {
    /// A day in UTC, such as 2030-06-29.
    date: String,
}

/// The provider's movements of a day against the ledger.
#[utoipa::path(
    get, path = "/api/v1/payments/reconciliation", tag = "Ticketing payments", params(Day),
    responses(
        (status = 200, description = "How many match, and what differs", body = Object),
        (status = 503, description = "`provider_unavailable`"),
    )
)]
async fn reconciliation(
    State(room): State<Ticketing>,
    Search(day): Search<Day>,
) -> Result<Response, Problem> {
    let day = reconcile::day_of(&day.date)?;
    Ok(Json(reconcile::report(&room, day).await?).into_response())
}

/// Where a page that is ordered by time and id begins.
fn place(
    room: &Ticketing,
    digest: FilterDigest,
    cursor: Option<&str>,
) -> Result<Option<(i64, String)>, Problem> {
    let Some(position) = room.cursors.open_optional(digest, cursor)? else {
        return Ok(None);
    };
    let (time, id) = position
        .after
        .split_first_chunk::<8>()
        .ok_or_else(|| Problem::internal("a cursor without its time"))?;
    let id = String::from_utf8(id.to_vec()).map_err(Problem::internal)?;
    Ok(Some((i64::from_be_bytes(*time), id)))
}

fn page<T: Serialize>(
    room: &Ticketing,
    digest: FilterDigest,
    mut items: Vec<T>,
    size: usize,
    last: impl Fn(&T) -> (i64, String),
) -> Page<T> {
    let more = items.len() > size;
    items.truncate(size);
    let next = items.last().filter(|_| more).map(|item| {
        let (time, id) = last(item);
        let position = Position {
            snapshot: 0,
            after: [&time.to_be_bytes()[..], id.as_bytes()].concat(),
        };
        room.cursors.seal(digest, &position)
    });
    Page {
        items,
        next_cursor: next,
    }
}
