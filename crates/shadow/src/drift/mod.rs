//! Drift: compare reported balances with the shadow's, explain every difference by evidence, and
//! propose what would repair it (contract C1 to C3).
//!
//! **Boundary.** [`input`] reads what is asked; [`explain`], [`policy`], [`tolerance`] and
//! [`decide`] are pure; [`run`] keeps, compares and settles a check; what statements say comes
//! through [`evidence`]; what is posted goes through the corrections' desk.
//!
//! **Invariants.** A check is stored before it is run and can be taken up again at any point; one
//! correction for a check and a book (INV-S16); a correction is made only in a transaction in
//! which neither the book nor its open corrections have moved since they were looked at.

mod compare;
pub mod decide;
pub mod evidence;
pub mod explain;
pub mod facts;
pub mod force;
pub mod found;
pub mod input;
mod look;
pub mod policy;
mod prepare;
pub mod read;
pub mod render;
pub mod run;
mod settle;
pub mod statements;
pub mod stream;
pub mod table;
pub mod tolerance;
pub mod worker;

pub use look::Seen;
pub use run::Checker;
