//! Accounts of our own ledger as the shadowed side (contract D4): every `single` and `post` that
//! touches a linked account becomes an event of its book, and an approved correction of the book
//! becomes a ledger transfer that comes back the same way.
//!
//! **Boundary.** Reads the ledger's entries and posts transfers; nothing else of the ledger is
//! known here. What the ledger has decided is mirrored, never judged.
//!
//! **Invariants.** A link's position moves in the transaction that enters what was read, so each
//! entry is mirrored once; at that position the book's balance is the account's (INV-S24). A
//! correction's transfer has one id for ever, so that posting it twice posts it once.

pub mod model;
mod poster;
mod reader;
mod service;

pub use model::{Link, Orientation};
pub(crate) use service::not_found;
pub use service::{Links, NewLink, Standing};

/// Type of the postings that corrections make.
pub const CODE: &str = "shadow_correction";
