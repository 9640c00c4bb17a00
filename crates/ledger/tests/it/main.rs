//! Black-box tests of the ledger through its public handle.

mod concurrency;
mod damage;
mod differential;
mod engine;
mod faults;
mod fuzzed;
mod generate;
mod generate_calls;
mod migrate;
mod model;
mod model_calls;
mod model_grammar;
mod model_items;
mod model_wallets;
mod order;
mod postgres_commit;
mod postgres_proxy;
mod postgres_server;
mod postgres_site;
mod property;
mod property_calls;
mod property_history;
mod property_runs;
mod snapshots;
mod support;
mod verify;
