//! Black-box tests of the ledger through its public handle.

mod damage;
mod engine;
mod faults;
mod generate;
mod model;
mod model_grammar;
mod model_wallets;
mod property;
mod property_history;
mod support;
mod verify;
