//! What the fuzz targets call. `crates/ledger/tests/it/fuzzed.rs` and
//! `crates/shadow/tests/it/fuzzed.rs` run the same entries with seeded random and mutated input on
//! every test run.
//!
//! **Boundary.** Only hands bytes to readers of the product; expects nothing but that they answer.
//!
//! **Invariants.** An entry may refuse its input and never panics, whatever the bytes are.
//!
//! Run one with `cargo +nightly fuzz run journal` (needs `cargo install cargo-fuzz`).

pub mod entries;
pub mod statements;
