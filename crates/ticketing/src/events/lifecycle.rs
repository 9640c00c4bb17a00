//! Postpone, reschedule, cancel, complete (contract A3).

use florin_platform::http::problem::Problem;
use florin_platform::sql::Tx;
use serde_json::json;

use super::publish::wrong_state;
use super::{load_in, selling_status, told, types_in};
use crate::Ticketing;
use crate::api::problem::event_not_found;
use crate::model::event::{Event, POSTPONED_MAX_MICROS, Status};
use crate::model::ticket_type::TicketType;
use crate::model::zone::Shift;
use crate::{orders, outbox, store};

/// Full refunds after a reschedule unless it says otherwise: 14 days, at most to the start.
const REFUND_MICROS: i64 = 14 * 86_400 * 1_000_000;

async fn loaded(tx: &mut Tx, event_id: &str, to: Status) -> Result<Event, Problem> {
    let event = load_in(tx, event_id).await?.ok_or_else(event_not_found)?;
    match event.status.may_become(to) && event.status != Status::Draft {
        true => Ok(event),
        false => Err(wrong_state(&event)),
    }
}

async fn stored(
    room: &Ticketing,
    tx: &mut Tx,
    event: &mut Event,
    kind: &'static str,
) -> Result<(), Problem> {
    event.version += 1;
    event.updated_at = room.now();
    store::events::update(tx, event).await?;
    outbox::tell(&room.store, tx, &event.org_id, kind, &told(event)).await
}

/// Takes the date away: reserving stops, tickets stay valid, buyers may refund in full.
///
/// # Errors
/// 409 `event_state`, the store's.
pub async fn postpone(
    room: &Ticketing,
    tx: &mut Tx,
    event_id: &str,
    reason: String,
) -> Result<Event, Problem> {
    let mut event = loaded(tx, event_id, Status::Postponed).await?;
    event.status = Status::Postponed;
    event.status_reason = Some(reason);
    event.refund_until = None;
    stored(room, tx, &mut event, "event.postponed").await?;
    Ok(event)
}

/// The new dates of a postponed event, microseconds.
#[derive(Debug, Clone, Copy)]
pub struct NewDates {
    /// Start.
    pub starts_at: i64,
    /// End.
    pub ends_at: i64,
    /// Until when buyers may refund in full.
    pub refund_until: Option<i64>,
}

/// Gives a postponed event new dates. Sale windows, entry windows and `refundableUntil` move by
/// the same difference on the wall.
///
/// # Errors
/// 409 `event_state`, 400 for dates that make no sense, the store's.
pub async fn reschedule(
    room: &Ticketing,
    tx: &mut Tx,
    event_id: &str,
    dates: NewDates,
) -> Result<Event, Problem> {
    let mut event = load_in(tx, event_id).await?.ok_or_else(event_not_found)?;
    if event.status != Status::Postponed {
        return Err(wrong_state(&event));
    }
    let now = room.now();
    if dates.starts_at <= now || dates.ends_at <= dates.starts_at {
        let message = "The new start must lie in the future, and the end after it.";
        return Err(Problem::validation("startsAt", message));
    }
    if dates
        .refund_until
        .is_some_and(|until| until > dates.starts_at)
    {
        let message = "Full refunds end at the start at the latest.";
        return Err(Problem::validation("refundUntil", message));
    }
    let usual = now.saturating_add(REFUND_MICROS).min(dates.starts_at);
    let from = event.starts_at.unwrap_or(dates.starts_at);
    let zone = event.zone();
    let shift = zone.and_then(|zone| zone.shift(from, dates.starts_at));
    let shift = shift.ok_or_else(|| Problem::validation("startsAt", "Outside the calendar."))?;
    event.starts_at = Some(dates.starts_at);
    event.ends_at = Some(dates.ends_at);
    event.refund_until = Some(dates.refund_until.unwrap_or(usual));
    event.status_reason = None;
    event.check_in_opens_at = event.check_in_opens_at.map(|at| shift.apply(at));
    event.check_in_closes_at = event.check_in_closes_at.map(|at| shift.apply(at));
    for mut kind in types_in(tx, event_id).await? {
        move_windows(&mut kind, &shift, dates.ends_at);
        kind.updated_at = now;
        store::types::update(tx, &kind).await?;
    }
    event.status = selling_status(&room.store, tx, &event).await?;
    stored(room, tx, &mut event, "event.rescheduled").await?;
    Ok(event)
}

fn move_windows(kind: &mut TicketType, shift: &Shift, ends_at: i64) {
    let places = [
        &mut kind.sale_starts_at,
        &mut kind.sale_ends_at,
        &mut kind.valid_from,
        &mut kind.valid_until,
        &mut kind.refundable_until,
    ];
    for place in places {
        *place = place.map(|at| shift.apply(at));
    }
    // A shorter event must not leave a sale open after its end.
    kind.sale_ends_at = kind.sale_ends_at.map(|at| at.min(ends_at));
}

/// Calls an event off, for good: holds are released, tickets cancelled, all money goes back.
/// Answers the event and the id of the refund job.
///
/// # Errors
/// 409 `event_state`, the store's.
pub async fn cancel(
    room: &Ticketing,
    tx: &mut Tx,
    event_id: &str,
    reason: String,
) -> Result<(Event, String), Problem> {
    let mut event = loaded(tx, event_id, Status::Cancelled).await?;
    event.status = Status::Cancelled;
    event.status_reason = Some(reason.clone());
    stored(room, tx, &mut event, "event.cancelled").await?;
    let job = orders::event_cancelled(room, tx, &event, &reason).await?;
    Ok((event, job))
}

/// Ends events whose time has come. Answers how many.
///
/// # Errors
/// The store's.
pub async fn complete_due(room: &Ticketing) -> Result<usize, Problem> {
    let now = room.now();
    let mut done = 0;
    let postponed = now.saturating_sub(POSTPONED_MAX_MICROS);
    for (id, status) in store::events::over(&room.store.db, now, postponed, 500).await? {
        let mut tx = room.store.begin_event(&id).await?;
        let Some(mut event) = load_in(&mut tx, &id).await? else {
            continue;
        };
        if !event.status.may_become(Status::Completed)
            || event.ends_at.is_none_or(|at| at > now)
            || event.status != status
        {
            continue;
        }
        event.status = Status::Completed;
        store::events::set_status(&mut tx, &id, Status::Completed, now).await?;
        let mut data = told(&event);
        if status == Status::Postponed {
            data["reason"] = json!("postponed_without_a_date");
        }
        outbox::tell(
            &room.store,
            &mut tx,
            &event.org_id,
            "event.completed",
            &data,
        )
        .await?;
        tx.commit().await?;
        done += 1;
    }
    Ok(done)
}
