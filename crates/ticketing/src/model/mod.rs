//! Types and rules without I/O: no clock, no chance, no tables.

pub mod buyer;
