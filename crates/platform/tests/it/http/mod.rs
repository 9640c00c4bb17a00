//! The HTTP kit over real sockets.

mod conventions;
mod limits;
mod serving;
mod support;
mod telemetry;
