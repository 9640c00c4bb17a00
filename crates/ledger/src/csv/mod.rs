//! Import of CSV files through a mapping profile, with a check of their running balance
//! (contract A10, import).
//!
//! Purpose: turn what a bank or another system prints into ledger lines with their original
//! dates, and say per account whether the printed balances agree with the lines. Boundary: pure.
//! Bytes and a [`Profile`] in, plain lines and a [`BalanceReport`] out; reading TOML, showing
//! progress and posting are the caller's.
//!
//! Invariants: a file with any wrong row yields no lines; amounts are exact, never rounded; the
//! same bytes and profile give the same lines in the same order; nothing here panics, whatever
//! the bytes; an account is never called inconsistent unless no order of the day's lines
//! explains it, nor consistent unless the order found does.

mod balance;
mod day;
mod error;
mod import;
mod profile;
mod reader;
mod rows;
mod value;

pub use balance::{AccountBalance, BalanceReport, BalanceTotals, Verdict};
pub use error::{CsvError, MAX_LISTED, RowError, RowErrors};
pub use import::{Import, ImportAccount, ImportTransfer, MAX_ROWS, parse, read};
pub use profile::{
    AmountRule, BalanceRule, DateRule, DirectionRule, Profile, Template, TemplateError,
};
pub use reader::{MAX_FIELDS, MAX_RECORD_BYTES};
