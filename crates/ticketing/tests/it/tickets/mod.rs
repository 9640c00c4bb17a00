//! Tickets, gate and provenance (contract D).

mod access;
mod bundles;
mod check_ins;
mod offline;
mod provenance;
mod sale;
mod storm;
mod transfers;

use florin_ticketing::gate::keys;
use florin_ticketing::model::buyer::BuyerKey;
use florin_ticketing::model::token::{Claims, TicketKey};
use florin_ticketing::store::stock::Moves;
use florin_ticketing::tickets::{self, NewTicket, NewTickets, Paid, Ticket};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::stage::{Gig, SECOND, Stage};

/// Tickets of one made-up order, issued to an account as the confirmation of an order does it,
/// with the counters that belong to it.
pub async fn sell(stage: &Stage, gig: &Gig, subject: &str, count: usize) -> Vec<Ticket> {
    let room = &stage.room;
    let mut tx = room.store.begin_event(&gig.event).await.unwrap();
    let key = BuyerKey::of_subject(subject);
    let owner = room.vault.person(&room.store, &mut tx, &key).await.unwrap();
    let email = format!("{subject}@example.com");
    let order_id = room.store.id();
    let number = stage.fresh("T4T4T-ORDER").to_uppercase();
    let new = NewTickets {
        order_id: &order_id,
        order_number: &number,
        event_id: &gig.event,
        org_id: &gig.org,
        currency: "EUR",
        channel: "online",
        owner: &owner,
        owner_sub: Some(subject),
        buyer_name: Some("Ana A."),
        buyer_email: Some(&email),
        at: room.now(),
        tickets: vec![
            NewTicket {
                type_id: gig.kind.clone(),
                type_no: 1,
                price: 4_500,
                paid: Paid {
                    net: 4_206,
                    tax: 294,
                    platform_fee: 146,
                    processing_fee: 0,
                },
                ..NewTicket::default()
            };
            count
        ],
    };
    tickets::issue(room, &mut tx, &[new]).await.unwrap();
    let mut moves = Moves::default();
    moves.sell(&gig.kind, &[], count as i64);
    moves.apply(&mut tx).await.unwrap();
    tx.commit().await.unwrap();
    tickets::of_order(&room.store.db, &order_id).await.unwrap()
}

/// The event's key.
pub async fn key(stage: &Stage, gig: &Gig) -> TicketKey {
    keys::signing(&stage.room, &gig.event).await.unwrap()
}

/// The row of a ticket.
pub async fn row(stage: &Stage, id: &str) -> Ticket {
    tickets::one(&stage.room.store.db, id).await.unwrap()
}

/// The text of a ticket's code in a generation.
pub fn code(key: &TicketKey, id: &str, generation: u16) -> String {
    key.token(&Claims {
        ticket_id: id.parse().unwrap(),
        generation,
        type_no: 1,
    })
}

/// A nonce with a number.
pub fn nonce(n: u128) -> String {
    Uuid::from_u128(n).to_string()
}

/// A scan at the north gate.
pub fn scan(token: &str, n: u128, at: &str) -> Value {
    json!({
        "token": token, "nonce": nonce(n), "deviceId": "scanner-1", "gate": "north",
        "direction": "in", "scannedAt": at,
    })
}

/// Lets the clock run until the doors are open: the event begins 30 days after the stage, and
/// doors open six hours before.
pub fn open_doors(stage: &Stage) {
    stage.advance((30 * 24 - 5) * 3_600 * SECOND);
}

/// Result, reason and conflict of an answer.
pub fn verdict(answer: &Value) -> (&str, &str, Option<&str>) {
    (
        answer["result"].as_str().unwrap_or_default(),
        answer["reason"].as_str().unwrap_or_default(),
        answer["conflict"].as_str(),
    )
}
