//! Rules of changes: what may change when (contract A2, A4).

use std::collections::BTreeSet;

use florin_platform::http::problem::{Problem, Status as HttpStatus};
use florin_platform::sql::Tx;

use super::publish::{incomplete, missing, wrong_state};
use super::{pools_in, types_in};
use crate::api::problem::{conflict, field};
use crate::model::event::{Event, Status};
use crate::model::ticket_type::{POOLS_PER_TYPE, Pool, TicketType};
use crate::model::words;
use crate::store::{self, Store};

/// Most ticket types of one event.
pub const TYPES_MAX: usize = 200;
/// Most pools of one event.
pub const POOLS_MAX: usize = 100;

/// A slug of a title that no other event has.
///
/// # Errors
/// The store's.
pub async fn event_slug(store: &Store, tx: &mut Tx, title: &str) -> Result<String, Problem> {
    let plain = words::slug(title, "event");
    match store::events::slug_taken(tx, &plain).await? {
        false => Ok(plain),
        true => Ok(format!("{plain}-{}", tail(store))),
    }
}

/// A slug of a name that no other organisation has.
///
/// # Errors
/// The store's.
pub async fn org_slug(store: &Store, tx: &mut Tx, name: &str) -> Result<String, Problem> {
    let plain = words::slug(name, "org");
    match store::orgs::slug_taken(tx, &plain).await? {
        false => Ok(plain),
        true => Ok(format!("{plain}-{}", tail(store))),
    }
}

/// The random end of a fresh id.
fn tail(store: &Store) -> String {
    let id = store.uuid().simple().to_string();
    id[id.len() - 10..].to_owned()
}

/// Somebody has reserved or bought of these types.
pub fn has_orders(types: &[TicketType]) -> bool {
    types.iter().any(|kind| kind.held_ever > 0 || kind.sold > 0)
}

/// 412 `version_mismatch` unless the version is the one that the caller read.
///
/// # Errors
/// That.
pub fn check_version(expected: Option<i64>, version: i64) -> Result<(), Problem> {
    match expected {
        Some(expected) if expected != version => Err(Problem::new(
            HttpStatus::PreconditionFailed,
            "version_mismatch",
            "Somebody changed it in the meantime: read it again.",
        )
        .with("version", version)),
        _ => Ok(()),
    }
}

/// Judges a changed event against what it was and what is sold of it.
///
/// # Errors
/// 409 `event_state`, `use_reschedule`, `currency_fixed`, `event_incomplete`; 400 for windows
/// that no longer fit.
pub fn check_change(
    before: &Event,
    after: &Event,
    types: &[TicketType],
    pools: &[Pool],
) -> Result<(), Problem> {
    if before.is_over() {
        return Err(wrong_state(before));
    }
    let times = |event: &Event| (event.starts_at, event.ends_at, event.time_zone.clone());
    if times(before) != times(after) && (has_orders(types) || before.status == Status::Postponed) {
        let detail = "Orders exist: times change by postpone and reschedule.";
        return Err(conflict("use_reschedule", detail));
    }
    if before.currency != after.currency && (before.status != Status::Draft || !types.is_empty()) {
        let detail = "The currency is fixed once the event is published or has ticket types.";
        return Err(conflict("currency_fixed", detail));
    }
    if let Some(ends_at) = after.ends_at
        && types
            .iter()
            .any(|kind| kind.sale_ends_at.is_some_and(|at| at > ends_at))
    {
        let message = "A ticket type is sold for longer than the event lasts.";
        return Err(Problem::validation("endsAt", message));
    }
    if before.status == Status::Draft || before.status == Status::Postponed {
        return Ok(());
    }
    // What runs needs no future start any more, nor a type that can still be sold.
    let lacks: Vec<_> = missing(after, types, pools, i64::MIN)
        .into_iter()
        .filter(|(name, _)| *name != "ticketTypes")
        .collect();
    match lacks.is_empty() {
        true => Ok(()),
        false => Err(incomplete(&lacks)),
    }
}

/// 409 `quantity_below_committed`.
pub fn below_committed(name: &'static str, committed: i64) -> Problem {
    conflict(
        "quantity_below_committed",
        format!("{committed} units are sold or held already."),
    )
    .with("committed", committed)
    .with_error(name, "quantity_below_committed", "Too small.")
}

/// 409 `type_in_use`.
pub fn type_in_use() -> Problem {
    conflict(
        "type_in_use",
        "Units of it were sold or held: it can be hidden or closed, not removed or moved.",
    )
}

/// Judges a new or changed type.
///
/// # Errors
/// 400 for wrong fields, 409 `quantity_below_committed` or `type_in_use`.
pub fn check_type(
    event: &Event,
    before: Option<&TicketType>,
    kind: &TicketType,
    pools: &[Pool],
) -> Result<(), Problem> {
    if event.is_over() {
        return Err(wrong_state(event));
    }
    let committed = before.map_or(0, |kind| kind.sold + kind.held);
    if kind.quantity.is_some_and(|quantity| quantity < committed) {
        return Err(below_committed("quantity", committed));
    }
    if let (Some(sale), Some(ends)) = (kind.sale_ends_at, event.ends_at)
        && sale > ends
    {
        let message = "The sale ends with the event at the latest.";
        return Err(Problem::validation("saleEndsAt", message));
    }
    let windows = [
        ("saleEndsAt", kind.sale_starts_at, kind.sale_ends_at),
        ("validUntil", kind.valid_from, kind.valid_until),
    ];
    for (name, from, until) in windows {
        if from.zip(until).is_some_and(|(from, until)| from >= until) {
            return Err(Problem::validation(
                name,
                "The window must end after it begins.",
            ));
        }
    }
    if kind.min_per_order > kind.max_per_order {
        return Err(Problem::validation("minPerOrder", "At most maxPerOrder."));
    }
    let whole = pools.iter().find(|pool| pool.whole_event);
    if kind.quantity.is_none() && kind.pool_ids.is_empty() && whole.is_none() {
        let message = "A type without a quantity needs a pool that limits it.";
        return Err(Problem::validation("quantity", message));
    }
    check_pools(before, kind, pools)
}

fn check_pools(
    before: Option<&TicketType>,
    kind: &TicketType,
    pools: &[Pool],
) -> Result<(), Problem> {
    let chosen: BTreeSet<&String> = kind.pool_ids.iter().collect();
    let own = |id: &&&String| {
        pools
            .iter()
            .any(|pool| pool.id == ***id && !pool.whole_event)
    };
    let known = chosen.iter().filter(own).count();
    let whole = pools
        .iter()
        .filter(|pool| pool.whole_event && chosen.contains(&pool.id))
        .count();
    if known + whole != chosen.len() || chosen.len() != kind.pool_ids.len() {
        return Err(field(
            "poolIds",
            "pool_not_found",
            "Pools of this event, each once.",
        ));
    }
    if known > POOLS_PER_TYPE {
        return Err(Problem::validation("poolIds", "At most 4 pools."));
    }
    // Units that are held or sold stand in the counters of their pools.
    let moved = before.is_some_and(|before| {
        let former: BTreeSet<&String> = before.pool_ids.iter().collect();
        former != chosen && (before.held_ever > 0 || before.sold > 0)
    });
    match moved {
        true => Err(type_in_use()),
        false => Ok(()),
    }
}

/// Sets, changes or removes the hard limit of an event: a pool that contains every type.
///
/// # Errors
/// 409 `quantity_below_committed`, `type_in_use`; the store's.
pub async fn set_capacity(
    store: &Store,
    tx: &mut Tx,
    event_id: &str,
    capacity: Option<i64>,
) -> Result<(), Problem> {
    let mut types = types_in(tx, event_id).await?;
    let pools = pools_in(tx, event_id).await?;
    let whole = pools.into_iter().find(|pool| pool.whole_event);
    match (whole, capacity) {
        (None, None) => Ok(()),
        (Some(pool), Some(capacity)) => {
            if capacity < pool.sold + pool.held {
                return Err(below_committed("capacity", pool.sold + pool.held));
            }
            store::types::update_pool(tx, &Pool { capacity, ..pool }).await
        }
        (Some(pool), None) => {
            if has_orders(&types) {
                return Err(type_in_use());
            }
            if types
                .iter()
                .any(|kind| kind.quantity.is_none() && kind.pool_ids.len() < 2)
            {
                let message = "A type without a quantity would be limited by nothing.";
                return Err(Problem::validation("capacity", message));
            }
            store::types::delete_pool(tx, &pool.id).await
        }
        (None, Some(capacity)) => {
            if has_orders(&types) {
                return Err(type_in_use());
            }
            let pool = Pool {
                id: store.id(),
                event_id: event_id.to_owned(),
                name: "capacity".to_owned(),
                capacity,
                whole_event: true,
                sold: 0,
                held: 0,
            };
            store::types::insert_pool(tx, &pool, store.now()).await?;
            for kind in &mut types {
                kind.pool_ids.push(pool.id.clone());
                store::types::update(tx, kind).await?;
            }
            Ok(())
        }
    }
}
