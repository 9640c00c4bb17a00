//! Words and pure rules of the shadow ledger: no I/O, no clock, no chance.
//!
//! **Invariants.** Amounts are minor units in `i128`; [`Key`] is the only order; texts that are
//! hashed or stored have one canonical form.

pub mod amount;
pub mod away;
pub mod block;
pub mod book;
pub mod decide;
pub mod digest;
pub mod event;
pub mod instant;
pub mod reducer;

pub use amount::{AmountFault, Currencies, Money, MoneyForm};
pub use book::{Book, Policy, Rules};
pub use event::{BookId, Direction, Event, Key, Reason, State};
