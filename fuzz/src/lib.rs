//! What the fuzz targets call. `crates/ledger/tests/it/fuzzed.rs` runs the same entries with
//! seeded random and mutated input on every test run.
//!
//! Run one with `cargo +nightly fuzz run journal` (needs `cargo install cargo-fuzz`).

pub mod entries;
