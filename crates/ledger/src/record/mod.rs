//! The two forms of a record: compact bytes in the journal ([`codec`]) and the exact feed line
//! ([`line`]). A line is made from the bytes alone, so it is the same for ever (INV-L6).

pub mod bytes;
pub mod codec;
pub mod line;
mod notes;
mod transfers;
pub(crate) mod wallets;
