//! A ticket as it is shown.

use std::collections::BTreeMap;

use florin_base::Timestamp;
use florin_platform::http::problem::Problem;
use serde::Serialize;
use utoipa::ToSchema;

use crate::Ticketing;
use crate::api::money::print;
use crate::gate::{Facts, keys};
use crate::model::event::Status;
use crate::model::ticket_status::TicketStatus;
use crate::model::token::TicketKey;
use crate::tickets::{self, Holder, Ticket, transfer};

/// A ticket.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Ticket)]
pub struct TicketShown {
    pub id: String,
    pub number: String,
    pub order_id: String,
    pub event_id: String,
    pub ticket_type_id: String,
    /// Number of the type in the code.
    pub type_no: u16,
    /// `valid`, `used`, `suspended`, `refunded`, `cancelled`, `expired`.
    pub status: &'static str,
    pub generation: u16,
    /// `online` or `comp`.
    pub channel: String,
    pub holder: HolderShown,
    pub paid: PaidShown,
    pub transferable: bool,
    /// It was handed on.
    pub transferred: bool,
    #[schema(value_type = Option<String>)]
    pub refundable_until: Option<Timestamp>,
    #[schema(value_type = Option<String>)]
    pub used_at: Option<Timestamp>,
    #[schema(value_type = String)]
    pub created_at: Timestamp,
    /// Where a virtual event takes place: for the owner of a valid ticket.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub online_url: Option<String>,
    /// The open offer to hand it on: for the owner.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pending_transfer: Option<PendingShown>,
    /// The text of its QR code: for the owner.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
}

/// Who is printed.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = TicketHolder)]
pub struct HolderShown {
    pub name: Option<String>,
    pub email: Option<String>,
    /// The person was erased.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub erased: bool,
}

/// What was paid.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = TicketPaid)]
pub struct PaidShown {
    pub currency: String,
    pub net: String,
    pub tax: String,
    /// Platform and processing fee, where the buyer bore them.
    pub fees: String,
    pub total: String,
}

/// An open offer.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = TicketPendingTransfer)]
pub struct PendingShown {
    pub id: String,
    #[schema(value_type = String)]
    pub expires_at: Timestamp,
}

impl From<&Holder> for HolderShown {
    fn from(holder: &Holder) -> Self {
        Self {
            name: holder.name.clone(),
            email: holder.email.clone(),
            erased: holder.erased,
        }
    }
}

/// The status as it is shown: `expired` is not stored, and tickets of a cancelled event read
/// `cancelled` from its first answer on.
pub fn status(ticket: &Ticket, facts: &Facts, now: i64) -> &'static str {
    let closed = facts.event.doors_close().is_some_and(|at| now >= at);
    match ticket.status {
        dead if dead.is_dead() => dead.as_str(),
        _ if facts.event.status == Status::Cancelled => TicketStatus::Cancelled.as_str(),
        TicketStatus::Valid if closed => "expired",
        other => other.as_str(),
    }
}

fn shown(
    room: &Ticketing,
    facts: &Facts,
    ticket: &Ticket,
    holder: &Holder,
    key: Option<&TicketKey>,
) -> Result<TicketShown, Problem> {
    let scale = room.settings.scale(&ticket.currency).unwrap_or(2);
    let kind = facts.types.get(&ticket.type_no);
    let status = status(ticket, facts, room.now());
    let until = kind.and_then(|kind| kind.refundable_until);
    let alive = matches!(status, "valid" | "used");
    Ok(TicketShown {
        id: ticket.id.clone(),
        number: ticket.number.clone(),
        order_id: ticket.order_id.clone(),
        event_id: ticket.event_id.clone(),
        ticket_type_id: ticket.type_id.clone(),
        type_no: ticket.type_no,
        status,
        generation: ticket.generation,
        channel: ticket.channel.clone(),
        holder: holder.into(),
        paid: PaidShown {
            currency: ticket.currency.clone(),
            net: print(ticket.paid.net, scale),
            tax: print(ticket.paid.tax, scale),
            fees: print(ticket.paid.fees(), scale),
            total: print(ticket.paid.total(), scale),
        },
        transferable: kind.is_some_and(|kind| kind.transferable),
        transferred: ticket.transferred,
        refundable_until: until.map(Timestamp),
        used_at: ticket.used_at.map(Timestamp),
        created_at: Timestamp(ticket.created_at),
        online_url: facts
            .event
            .online_url
            .clone()
            .filter(|_| key.is_some() && alive),
        pending_transfer: None,
        token: key
            .map(|key| tickets::mail::token(key, ticket))
            .transpose()?,
    })
}

/// Tickets in their order; `own`: with their codes.
///
/// # Errors
/// The store's.
pub async fn many(
    room: &Ticketing,
    found: &[Ticket],
    own: bool,
) -> Result<Vec<TicketShown>, Problem> {
    let holders = tickets::holders(room, &room.store.db, found).await?;
    let mut events: BTreeMap<&str, (Facts, Option<TicketKey>)> = BTreeMap::new();
    let mut all = Vec::with_capacity(found.len());
    for (ticket, holder) in found.iter().zip(&holders) {
        if !events.contains_key(ticket.event_id.as_str()) {
            let facts = Facts::load(&room.store.db, &ticket.event_id).await?;
            let key = match own {
                true => Some(keys::signing(room, &ticket.event_id).await?),
                false => None,
            };
            events.insert(&ticket.event_id, (facts, key));
        }
        let (facts, key) = &events[ticket.event_id.as_str()];
        all.push(shown(room, facts, ticket, holder, key.as_ref())?);
    }
    Ok(all)
}

/// One ticket, with its open offer; `own`: with its code.
///
/// # Errors
/// The store's.
pub async fn one(room: &Ticketing, ticket: Ticket, own: bool) -> Result<TicketShown, Problem> {
    let found = [ticket];
    let mut all = many(room, &found, own).await?;
    let mut shown = all
        .pop()
        .ok_or_else(|| Problem::internal("one ticket is shown as none"))?;
    if own {
        let now = room.now();
        let open = transfer::pending(&room.store.db, &found[0].id).await?;
        shown.pending_transfer = open
            .filter(|open| open.status_at(now) == "pending")
            .map(|open| PendingShown {
                id: open.id,
                expires_at: Timestamp(open.expires_at),
            });
    }
    Ok(shown)
}
