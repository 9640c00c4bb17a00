//! What the process tells about itself: logs, metrics, traces.

pub mod emf;
pub mod logs;
pub mod metrics;
pub mod otel;
mod redact;
