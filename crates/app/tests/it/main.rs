//! The house rules, and the binary as a stranger meets it.

mod bench;
mod cli;
mod conventions;
mod crash;
mod direction;
mod distributed;
mod edge_amounts;
mod edge_chains;
mod edge_evidence;
mod edge_faults;
mod edge_holds;
mod edge_identity;
mod edge_ledger;
mod edge_reads;
mod edge_reversals;
mod edge_time;
mod edge_wallets;
mod identity;
mod permissions;
mod readme;
mod script;
mod server;
mod serving;
mod stores;
mod tidy;
mod webhooks;
