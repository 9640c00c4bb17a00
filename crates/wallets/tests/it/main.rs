//! Both APIs through the router, over a real ledger in a temporary directory.

mod document;
mod ledger;
mod support;
mod wallets;
