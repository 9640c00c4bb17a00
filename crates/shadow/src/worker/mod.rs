//! What runs beside the requests: deadlines, checkpoints, the outbox.

pub mod checkpoint;
pub mod deadlines;
pub mod mirror;
pub mod outbox;
pub mod topics;
