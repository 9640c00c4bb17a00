//! Publish, postpone, reschedule, cancel (contract A3).

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use florin_platform::audit::Entry;
use florin_platform::http::auth::Caller;
use florin_platform::http::idempotency::IdempotencyKey;
use florin_platform::http::json::Path;
use florin_platform::http::problem::Problem;
use florin_platform::http::router::{RouteSpec, Routes};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::{allowed, show, with_tag};
use crate::Ticketing;
use crate::api::input::Body;
use crate::api::once::Creation;
use crate::api::{check, permission};
use crate::events::lifecycle::{self, NewDates};
use crate::model::event::Event;

pub(super) fn routes() -> Routes<Ticketing> {
    let write = permission::EVENTS_WRITE;
    Routes::new()
        .route(
            RouteSpec::post("/api/v1/events/{id}/publish", write),
            publish,
        )
        .route(
            RouteSpec::post("/api/v1/events/{id}/postpone", write),
            postpone,
        )
        .route(
            RouteSpec::post("/api/v1/events/{id}/reschedule", write),
            reschedule,
        )
        .route(RouteSpec::post("/api/v1/events/{id}/cancel", write), cancel)
}

/// Nothing needs to be said.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = EventPublishRequest)]
pub(super) struct Nothing {}

/// Why.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = EventReasonRequest)]
pub(super) struct Reason {
    /// 1 to 500 characters; buyers see it.
    reason: String,
}

/// New dates.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schema(as = EventRescheduleRequest)]
pub(super) struct Dates {
    /// RFC 3339, in the future.
    starts_at: String,
    /// RFC 3339, after the start.
    ends_at: String,
    /// Full refunds until then; default 14 days, at most to the start.
    refund_until: Option<String>,
}

async fn done(
    room: &Ticketing,
    caller: &Caller,
    action: &'static str,
    event: &Event,
) -> Result<show::EventShown, Problem> {
    room.told.notify_one();
    let object = format!("event:{}", event.id);
    room.note(Entry::new(&*caller.subject, action, object))
        .await;
    show::whole(room, event, true).await
}

/// Put a draft on sale.
#[utoipa::path(
    post, path = "/api/v1/events/{id}/publish", tag = "Events",
    params(("id" = String, Path)),
    request_body = Option<Nothing>,
    responses(
        (status = 200, body = show::EventShown),
        (status = 403, description = "`org_suspended`"),
        (status = 404, description = "`event_not_found`"),
        (status = 409, description = "`event_state`, `event_incomplete`"),
    )
)]
pub(super) async fn publish(
    State(room): State<Ticketing>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    allowed(&room, &caller, &id, permission::EVENTS_WRITE).await?;
    let mut tx = room.store.begin_event(&id).await?;
    let event = crate::events::publish::publish(&room, &mut tx, &id).await?;
    tx.commit().await?;
    let shown = done(&room, &caller, "ticketing.event.published", &event).await?;
    Ok(with_tag(&shown, event.version))
}

/// Take the date away: sales stop, tickets stay valid, buyers may refund in full.
#[utoipa::path(
    post, path = "/api/v1/events/{id}/postpone", tag = "Events",
    params(("id" = String, Path)), request_body = Reason,
    responses(
        (status = 200, body = show::EventShown),
        (status = 404, description = "`event_not_found`"),
        (status = 409, description = "`event_state`"),
    )
)]
pub(super) async fn postpone(
    State(room): State<Ticketing>,
    caller: Caller,
    Path(id): Path<String>,
    Body { body, .. }: Body<Reason>,
) -> Result<Response, Problem> {
    allowed(&room, &caller, &id, permission::EVENTS_WRITE).await?;
    let reason = check::line("reason", &body.reason, 1, 500)?;
    let mut tx = room.store.begin_event(&id).await?;
    let event = lifecycle::postpone(&room, &mut tx, &id, reason).await?;
    tx.commit().await?;
    let shown = done(&room, &caller, "ticketing.event.postponed", &event).await?;
    Ok(with_tag(&shown, event.version))
}

/// Give a postponed event new dates. Windows move by the same difference on the wall.
#[utoipa::path(
    post, path = "/api/v1/events/{id}/reschedule", tag = "Events",
    params(("id" = String, Path)), request_body = Dates,
    responses(
        (status = 200, body = show::EventShown),
        (status = 404, description = "`event_not_found`"),
        (status = 409, description = "`event_state`"),
    )
)]
pub(super) async fn reschedule(
    State(room): State<Ticketing>,
    caller: Caller,
    Path(id): Path<String>,
    Body { body, .. }: Body<Dates>,
) -> Result<Response, Problem> {
    allowed(&room, &caller, &id, permission::EVENTS_WRITE).await?;
    let dates = NewDates {
        starts_at: check::instant("startsAt", &body.starts_at)?,
        ends_at: check::instant("endsAt", &body.ends_at)?,
        refund_until: body
            .refund_until
            .map(|text| check::instant("refundUntil", &text))
            .transpose()?,
    };
    let mut tx = room.store.begin_event(&id).await?;
    let event = lifecycle::reschedule(&room, &mut tx, &id, dates).await?;
    tx.commit().await?;
    let shown = done(&room, &caller, "ticketing.event.rescheduled", &event).await?;
    Ok(with_tag(&shown, event.version))
}

/// A cancelled event, and the job that pays everybody back.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = EventCancelled)]
pub(super) struct Cancelled {
    /// See `GET /events/{id}/refund-jobs/{jobId}`.
    refund_job_id: String,
    event: Value,
}

/// Call an event off, for good: holds are released, tickets cancelled, all money goes back.
#[utoipa::path(
    post, path = "/api/v1/events/{id}/cancel", tag = "Events",
    params(("id" = String, Path), ("Idempotency-Key" = Option<String>, Header)),
    request_body = Reason,
    responses(
        (status = 202, body = Cancelled),
        (status = 404, description = "`event_not_found`"),
        (status = 409, description = "`event_state`"),
    )
)]
pub(super) async fn cancel(
    State(room): State<Ticketing>,
    caller: Caller,
    Path(id): Path<String>,
    key: IdempotencyKey,
    Body { body, json }: Body<Reason>,
) -> Result<Response, Problem> {
    allowed(&room, &caller, &id, permission::EVENTS_WRITE).await?;
    let reason = check::line("reason", &body.reason, 1, 500)?;
    let creation = Creation::new(&room, &caller, &format!("cancel:{id}"), &key, &json);
    let mut tx = room.store.begin_event(&id).await?;
    if let Some(known) = creation.known(&mut tx).await? {
        return Ok(known.into_response());
    }
    let (event, refund_job_id) = lifecycle::cancel(&room, &mut tx, &id, reason).await?;
    let shown = show::event(&room, &event, true, None, &[], None);
    let location = format!("/api/v1/events/{id}/refund-jobs/{refund_job_id}");
    let body = Cancelled {
        refund_job_id,
        event: serde_json::to_value(shown).map_err(Problem::internal)?,
    };
    let answer = creation
        .keep(
            &mut tx,
            StatusCode::ACCEPTED,
            Some(location),
            &body,
            room.now(),
        )
        .await?;
    tx.commit().await?;
    done(&room, &caller, "ticketing.event.cancelled", &event).await?;
    Ok(answer)
}
