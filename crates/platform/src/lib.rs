//! platform
pub mod http;
pub mod sql;
