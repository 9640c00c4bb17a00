//! The HTTP kit over real sockets.

mod conventions;
mod forwarding;
mod limits;
mod serving;
mod support;
mod telemetry;
