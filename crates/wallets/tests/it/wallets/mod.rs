//! The wallet API by the rows of the contract's table of edge cases.

mod access;
mod adjustments;
mod amounts;
mod conversion;
mod faults;
mod holds;
mod identity;
mod limits;
mod model;
mod movements;
mod reads;
mod reversals;
mod statement;
mod status;
