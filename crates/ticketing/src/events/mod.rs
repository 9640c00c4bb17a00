//! Organisations, events, ticket types, pools, promo codes, images (contract A).
//!
//! **For other parts:** read with [`load_in`], [`types_in`], [`pools_in`], [`promo_in`]; after
//! counters of stock have moved call [`after_stock_change`] in the same transaction; who may see
//! an event is [`visible`].

pub mod edit;
pub mod images;
pub mod lifecycle;
pub mod publish;

use florin_platform::http::auth::Principal;
use florin_platform::http::problem::Problem;
use florin_platform::sql::Tx;
use serde_json::json;

use crate::Ticketing;
use crate::api::problem::event_not_found;
use crate::api::scope;
use crate::model::event::{Event, Status, Visibility};
use crate::model::ticket_type::is_sold_out;
use crate::outbox;
use crate::store::{self, Store};

pub use crate::store::events::load_in;
pub use crate::store::orgs::load_in as org_in;
pub use crate::store::promos::find_in as promo_in;
pub use crate::store::types::{list_in as types_in, pools_in};

/// What webhooks say of an event.
pub fn told(event: &Event) -> serde_json::Value {
    json!({
        "eventId": event.id,
        "orgId": event.org_id,
        "status": event.status.word(),
        "version": event.version,
    })
}

/// Turns a published event into a sold out one and back, as its counters say. To be called in
/// the transaction that moved them.
///
/// # Errors
/// The store's.
pub async fn after_stock_change(store: &Store, tx: &mut Tx, event_id: &str) -> Result<(), Problem> {
    let Some(mut event) = load_in(tx, event_id).await? else {
        return Ok(());
    };
    if !event.status.sells() {
        return Ok(());
    }
    let status = selling_status(store, tx, &event).await?;
    if status == event.status {
        return Ok(());
    }
    event.status = status;
    store::events::set_status(tx, event_id, status, store.now()).await?;
    let kind = match status {
        Status::SoldOut => "event.sold_out",
        _ => "event.updated",
    };
    outbox::tell(store, tx, &event.org_id, kind, &told(&event)).await
}

/// An event that is over takes no new codes, pools or images. Asked in the transaction that adds
/// one, after the question whether it was added before: a call sent again is answered as the first
/// time, whatever has become of the event.
///
/// # Errors
/// 404 `event_not_found`, 409 `event_state`, the store's.
pub(crate) async fn not_over_in(tx: &mut Tx, event_id: &str) -> Result<(), Problem> {
    let event = load_in(tx, event_id).await?;
    let event = event.ok_or_else(event_not_found)?;
    match event.is_over() {
        true => Err(publish::wrong_state(&event)),
        false => Ok(()),
    }
}

/// Published or sold out, as the counters say.
pub(crate) async fn selling_status(
    store: &Store,
    tx: &mut Tx,
    event: &Event,
) -> Result<Status, Problem> {
    let types = types_in(tx, &event.id).await?;
    let pools = pools_in(tx, &event.id).await?;
    Ok(match is_sold_out(event, &types, &pools, store.now()) {
        true => Status::SoldOut,
        false => Status::Published,
    })
}

/// An event as a caller may see it.
#[derive(Debug, Clone)]
pub struct Seen {
    /// The event.
    pub event: Event,
    /// The caller belongs to its organisation, or reads all of them.
    pub member: bool,
}

/// The event, if this caller may see it: drafts are seen by members, private events also by
/// whoever has the access key.
///
/// # Errors
/// 404 `event_not_found`, the store's.
pub async fn visible(
    room: &Ticketing,
    caller: Option<&Principal>,
    event: Option<Event>,
    access_key: Option<&str>,
) -> Result<Seen, Problem> {
    let event = event.ok_or_else(event_not_found)?;
    let member = match caller {
        Some(caller) => scope::is_member(room, caller, &event.org_id).await?,
        None => false,
    };
    match member || is_open(&event, access_key) {
        true => Ok(Seen { event, member }),
        false => Err(event_not_found()),
    }
}

/// Strangers may see the event, with this access key.
pub fn is_open(event: &Event, access_key: Option<&str>) -> bool {
    let key_fits = match (&event.access_key, access_key) {
        (Some(key), Some(given)) => {
            subtle::ConstantTimeEq::ct_eq(key.as_bytes(), given.as_bytes()).into()
        }
        _ => false,
    };
    event.status.is_shown() && (event.visibility != Visibility::Private || key_fits)
}
