//! Drift: compare reported balances with the shadow's, explain every difference by evidence, and
//! propose what would repair it (contract C1 to C3).
pub mod decide;
pub mod explain;
pub mod input;
pub mod policy;
pub mod tolerance;
