//! Postings: one file for each row of the contract's table C3, with its legs.
//!
//! **Boundary.** Everything that moves money goes through [`post`] (chains) or [`wallet`] (the
//! ledger's wallet operations). Which posting is due when is decided by orders, refunds and
//! payouts; `due` remembers it in the transaction of the business fact and posts it after the
//! commit, again and again until it is there.
//!
//! **Invariants.** A posting is there whole or not at all and exactly once (INV-T6): its ids are
//! made from the business row and the ledger knows each id once. No balance is kept here:
//! `projector` copies the lines of the ledger's feed for listing and folding.

mod account;
pub mod due;
pub mod p01_card_in;
pub mod p02_sale;
pub mod p04_provider_cost;
pub mod p05_refund;
pub mod p06_refund_done;
pub mod p07_late_return;
pub mod p08_payout;
pub mod p09_payout_end;
pub mod p10_dispute;
pub mod p13_settlement;
pub mod p14_tax;
mod posting;
pub mod projector;
pub mod promised;
pub mod wallet;

pub use account::Account;
pub use posting::{
    Component, Leg, MODULE, MoneyError, Posted, Posting, Subject, balance, open, post,
};
