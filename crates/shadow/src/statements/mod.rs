//! Bank statements: readers, one model, gates, import (contract D1).
//!
//! **Boundary.** The readers are pure: bytes and a table of currencies in, lines of one integer
//! model out through a [`model::Sink`]; they hold one line at a time.
//!
//! **Invariants.** No reader panics, whatever the bytes; nothing larger than one line, field or
//! element is kept; amounts are exact or refused; detection looks at content alone.

pub mod amount;
pub mod bai2;
pub mod camt;
pub mod csv;
pub mod day;
pub mod detect;
pub mod fault;
pub mod gate;
pub mod import;
pub mod input;
pub mod model;
pub mod mt940;
pub mod ofx;
pub mod problem;
pub mod read;
pub mod render;
mod settle;
pub mod spool;
mod stage;
pub mod stored;
pub mod tables;
pub mod xml;

pub use import::{ImportOptions, Imported, Statements};
