//! platform
pub mod http;
pub mod sql;
pub mod telemetry;
