//! The derived index: lookups and history on disk, made from the journal.
//!
//! **Purpose.** Find records by id, by account and by time without holding them in memory, at the
//! rate the journal is written. A B-tree would rewrite a page per random account; here records
//! gather in memory and go to disk as immutable sorted runs, each covering a contiguous stretch
//! of batches. Adjacent runs of a size are merged into larger ones in the background.
//!
//! **Boundary.** A generic store of tables and arrays. What they hold is the engine's business.
//! It has no log of its own: after a start the engine applies again what the journal has beyond
//! the covered position.
//!
//! **Invariants.**
//! - The manifest is the only entry: files it does not name do not exist, and it is replaced
//!   atomically after what it names is on disk. So the index always opens at a batch boundary.
//! - Every block, page and section read is verified by checksum first: damage is an error that
//!   asks for a rebuild, never another answer.
//! - Runs of a table cover disjoint, ascending stretches; of equal keys the newest counts.
//! - Memory for stored data is 1.75 bytes per id for the filter, 0.1 to 0.3 bytes per record for
//!   block indexes, and 1.25 bytes per account and run; nothing else grows with the records.
//!   Unflushed data is bounded by two generations of up to twice [`Options::flush_bytes`].

mod array;
mod block;
mod bloom;
mod children;
mod cursor;
mod error;
mod manifest;
mod memtable;
mod merge;
mod run;
mod run_writer;
mod spec;
mod store;
#[cfg(test)]
mod tests;
mod view;
mod workers;

pub use array::Array;
pub use cursor::Scan;
pub use error::{IndexError, Result};
pub use spec::{
    ArrayId, ArraySpec, Cumulate, Layout, MAX_KEY, MAX_VALUE, Options, Position, Shape, Span,
    TableId, TableSpec,
};
pub use store::{Batch, Index, IndexStats};
pub use view::{Direction, Record, RecordRef, RunView, RunsThrough, TableView};
