//! The HTTP kit: everything that the HTTP APIs of all rooms share (contracts, "Conventions
//! that every HTTP API shares").

pub mod auth;
pub mod problem;
mod status;
pub mod trace;
