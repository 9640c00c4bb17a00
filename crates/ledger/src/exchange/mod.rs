//! Lines in and out of a ledger: exported feed lines and the lines of an import, the CSV rows of
//! an export, and files read by [`crate::csv`] (contract A10).
//!
//! **Boundary.** Pure: bytes in, calls or bytes out. Reading files, permissions and submitting
//! are the caller's.
//!
//! **Invariants.** An unknown member refuses its line and is named. Every type of exported line
//! has its [`ImportLine`](crate::call::ImportLine), so that an export can be imported whole
//! (INV-L24); a chain is never split between two calls (INV-L9).

mod chunks;
mod error;
mod feed;
mod lines;
mod shapes;
mod table;

pub use chunks::Chunks;
pub use error::LineError;
pub use feed::{FeedAccount, FeedData, FeedLine, FeedTransfer, FeedWallet};
pub use lines::{LINE_BYTES_MAX, csv_lines, parse_line};
pub use table::{CSV_HEADER, write_csv_row};
