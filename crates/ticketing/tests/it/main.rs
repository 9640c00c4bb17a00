//! The room as its users see it: the router over SQLite and an embedded ledger.

mod analytics;
mod cards;
mod events;
mod money;
mod sales;
mod shop;
mod organisers;
mod postgres;
mod stage;
mod tickets;
