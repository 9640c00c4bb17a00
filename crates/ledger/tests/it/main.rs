//! Black-box tests of the ledger through its public handle.

mod engine;
mod support;
