//! Tamper evidence: hashes, the Merkle tree over the feed, signed checkpoints (contract A9).
//!
//! Purpose: let anybody who keeps a checkpoint detect a changed, dropped, added or swapped
//! feed line, with code of their own. Boundary: pure computation. Lines, stored nodes, keys
//! and the moment of signing come from the caller; nothing here reads a file or a clock.
//!
//! Invariants: the tree has the shape of RFC 6962 §2.1; a node of a complete subtree never
//! changes once emitted; what [`tree::Tree`] proves, [`verify_inclusion`] and
//! [`verify_consistency`] accept; these two share no code with it but the node hash.

pub mod hash;
mod keys;
pub mod note;
pub mod tree;
mod verify;

pub use hash::Hash;
pub use keys::{Signer, VerifierKey};
pub use note::{Checkpoint, CheckpointBody, NoteError, SignedNote};
pub use tree::{Frontier, Level8, Tree, TreeError, TreeSource};
pub use verify::{VerifyError, verify_consistency, verify_inclusion};
