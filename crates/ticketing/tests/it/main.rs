//! The room as its users see it: the router over SQLite and an embedded ledger.

mod events;
mod stage;
