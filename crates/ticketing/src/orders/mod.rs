//! Quote, reserve, checkout, expiry, refunds, payouts (contract B, C1–C4).
//!
//! **The way of an order.** [`judge`] decides over a [`sheet`] what a cart costs and whether it
//! may be reserved; [`desk`] writes the calls of one event together; [`checkout`] pays, and
//! [`confirm`] issues the tickets in the commit that sells the units; [`payment`] is the order's
//! side of any payment. What must happen after a commit stands in a row of it
//! ([`crate::money::due`]) and is repeated until it is done.
//!
//! **Invariants.** INV-T1 to INV-T9, INV-T16 of the contract; each is named where it is kept.

pub mod access;
pub mod attendees;
pub mod cancel;
pub mod card_pay;
pub mod card_port;
pub mod checkout;
pub mod comps;
pub mod confirm;
pub mod desk;
pub mod expiry;
pub mod judge;
pub mod numbers;
pub mod payment;
pub mod payouts;
pub mod refunds;
pub mod reserve;
pub mod retake;
pub mod row;
pub mod sheet;
pub mod show;
pub mod wallet_pay;
pub mod worker;

pub use cancel::event_cancelled;
