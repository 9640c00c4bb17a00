//! Types and rules without I/O: no clock, no chance, no tables.

pub mod amounts;
pub mod base32;
pub mod bundle;
pub mod buyer;
pub mod canonical;
pub mod event;
pub mod geo;
pub mod offline;
pub mod order_number;
pub mod org;
pub mod promo;
pub mod provenance;
pub mod scan;
pub mod settle;
pub mod ticket_status;
pub mod ticket_type;
pub mod token;
pub mod words;
pub mod zone;
