//! wallets
