//! What runs beside the requests: deadlines, checkpoints, the outbox, gauges.

pub mod checkpoint;
pub mod deadlines;
pub mod measure;
pub mod mirror;
pub mod outbox;
pub mod topics;
