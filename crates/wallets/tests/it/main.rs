//! Both APIs through the router, over a real ledger in a temporary directory.

mod support;
mod wallets;
