//! The room as its users see it: the router over SQLite and an embedded ledger.

mod analytics;
mod cards;
mod checkouts;
mod edges;
mod events;
mod images;
mod money;
mod organisers;
mod pages;
mod payouts;
mod postgres;
mod races;
mod recount;
mod rush;
mod sales;
mod search;
mod shop;
mod stage;
mod tickets;
