//! Black-box tests of the platform, one binary.

mod http;
mod identity;
