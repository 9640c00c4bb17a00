//! Tickets: issue, kill, reissue, transfer, holder (contract D1, D2, D5).
//!
//! **For other parts.** [`issue`] and [`kill`] take part in the transaction that confirms or
//! refunds an order, [`suspend`] and [`restore`] in that of a dispute. All of them append their
//! leaves to the provenance log in the same transaction. The transaction must be one of the
//! tickets' event ([`Store::begin_event`](crate::store::Store::begin_event)) or of the whole room.
//!
//! **Invariants.**
//! - A ticket's status and generation change only by a [`Transition`] that
//!   [`TicketStatus::after`] allows, and each is one leaf (INV-T15).
//! - Nothing here touches stock: whoever kills a ticket gives its unit back.

pub mod access;
mod advance;
pub mod calendar;
mod holder;
mod issue;
mod load;
pub mod mail;
pub mod page;
pub mod qr;
mod row;
pub mod transfer;

pub use advance::{
    Advance, Death, Killed, advance, kill, reissue, reown, restore, restore_order, suspend,
    suspend_order,
};
pub use holder::{Holder, HolderChange, change_holder, holders};
pub use issue::{NewTicket, NewTickets, issue};
pub use load::{by_ids, by_ids_in, by_number, of_order, one, one_in};
pub use row::{COLUMNS, Paid, Ticket};

pub use crate::model::ticket_status::{TicketStatus, Transition};
