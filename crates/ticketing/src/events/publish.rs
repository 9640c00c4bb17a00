//! What an event needs before it can be sold (contract A3, draft → published).

use florin_platform::http::problem::Problem;
use florin_platform::sql::Tx;

use super::{load_in, org_in, pools_in, told, types_in};
use crate::Ticketing;
use crate::api::problem::{conflict, event_not_found};
use crate::model::event::{Event, Format, Status};
use crate::model::org::OrgStatus;
use crate::model::ticket_type::{Pool, TicketType};
use crate::{outbox, store};

/// What is missing, as field and words.
pub fn missing(
    event: &Event,
    types: &[TicketType],
    pools: &[Pool],
    now: i64,
) -> Vec<(&'static str, &'static str)> {
    let mut missing = Vec::new();
    if event.title.trim().is_empty() {
        missing.push(("title", "A title is needed."));
    }
    if event.category.is_none() {
        missing.push(("category", "A category is needed."));
    }
    if event.starts_at.is_none_or(|at| at <= now) {
        missing.push(("startsAt", "The start must lie in the future."));
    }
    if event.ends_at.is_none() {
        missing.push(("endsAt", "An end is needed."));
    }
    if event.venue.is_none() && event.format != Format::Virtual {
        missing.push(("venue", "A venue is needed unless the event is virtual."));
    }
    let can_sell = |kind: &&TicketType| {
        kind.ceiling(pools).is_some_and(|units| units > 0) && !kind.sale_is_over(event, now)
    };
    if !types.iter().any(|kind| can_sell(&kind)) {
        missing.push(("ticketTypes", "One ticket type that can be sold is needed."));
    }
    missing
}

/// 409 `event_incomplete` that names everything missing.
pub fn incomplete(missing: &[(&'static str, &'static str)]) -> Problem {
    let problem = conflict(
        "event_incomplete",
        "The event lacks something that a sale needs; `errors` names it.",
    );
    missing.iter().fold(problem, |problem, (field, message)| {
        problem.with_error(*field, "event_incomplete", *message)
    })
}

/// 403 `org_suspended`.
pub fn org_suspended() -> Problem {
    Problem::new(
        florin_platform::http::problem::Status::Forbidden,
        "org_suspended",
        "This organisation may not sell at present.",
    )
    .refused()
}

/// 409 `event_state`.
pub fn wrong_state(event: &Event) -> Problem {
    conflict(
        "event_state",
        format!("The event is {}.", event.status.word()),
    )
    .with("eventStatus", event.status.word())
}

/// Publishes a draft.
///
/// # Errors
/// 409 `event_state` or `event_incomplete`, 403 `org_suspended`, the store's.
pub async fn publish(room: &Ticketing, tx: &mut Tx, event_id: &str) -> Result<Event, Problem> {
    let mut event = load_in(tx, event_id).await?.ok_or_else(event_not_found)?;
    if event.status != Status::Draft {
        return Err(wrong_state(&event));
    }
    let org = org_in(tx, &event.org_id).await?;
    if org.is_none_or(|org| org.status != OrgStatus::Active) {
        return Err(org_suspended());
    }
    let (types, pools) = (types_in(tx, event_id).await?, pools_in(tx, event_id).await?);
    let now = room.now();
    let missing = missing(&event, &types, &pools, now);
    if !missing.is_empty() {
        return Err(incomplete(&missing));
    }
    event.status = Status::Published;
    event.published_at = Some(now);
    event.version += 1;
    event.updated_at = now;
    store::events::update(tx, &event).await?;
    outbox::tell(
        &room.store,
        tx,
        &event.org_id,
        "event.published",
        &told(&event),
    )
    .await?;
    Ok(event)
}
