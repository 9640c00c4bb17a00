//! Wallets, and the HTTP face of the ledger.
//!
//! **Purpose.** Give the ledger owners, decimals, statuses and limits (part B of the contract
//! `ledger-wallets`), and serve both APIs over HTTP: `/api/v1/wallets`, `/holds`,
//! `/transactions`, `/users/{userId}/wallets` in [`api::wallets`], `/api/v1/ledger` in
//! [`api::ledger`].
//!
//! **Boundary.** Everything that decides about money (amount ranges, identity, statuses, limits,
//! funds, conversion) happens inside `florin-ledger` in one atomic step. This crate judges
//! only what can be judged without the store: permissions, shapes, grammar. It keeps no
//! balance, no table and no clock of its own, and posts nothing but through
//! [`florin_ledger::Ledger::submit`].
//!
//! **Invariants.** A wallet's balance is the balance of `florin:wallet:{id}` at the same `seq`
//! (INV-L18); a caller sees no figure of a wallet that he may not read (INV-L25); a statement's
//! opening plus its items is its closing (INV-L20); amounts never pass through a float.
#![deny(clippy::float_arithmetic)]
#![cfg_attr(not(test), warn(clippy::unwrap_used))]

pub mod api;
pub mod events;
pub mod model;
