//! What comes to the writer through a door, and what it is told.

use super::record::Actor;
use super::session::Session;
use crate::model::{Event, Reason, State};

/// One valid event at a door.
#[derive(Debug, Clone)]
pub struct Item {
    /// Its content.
    pub event: Event,
    /// `http`, `batch`, `kafka`, `feed`.
    pub entrance: &'static str,
    /// Who brought it.
    pub actor: Actor,
}

/// Events that are answered together.
pub struct Intake {
    /// The events, in the order in which they came.
    pub items: Vec<Item>,
    /// All or nothing: one conflict and nothing is stored.
    pub atomic: bool,
    /// The caller's `Idempotency-Key`, if any.
    pub key: Option<KeyUse>,
    /// A position in a topic, saved in the same transaction (contract A3).
    pub also: Option<Also>,
}

/// SQL that belongs to the same commit, such as a consumer's position.
pub type Also = Box<dyn for<'a> FnOnce(&'a mut Session) -> super::Working<'a, ()> + Send + Sync>;

/// Makes the status and body that are kept with a key, from what became of the items; `None`: keep
/// nothing, since nothing was done.
pub type Answering = Box<dyn FnOnce(&[Outcome]) -> Option<(u16, String)> + Send + Sync>;

/// An `Idempotency-Key` in use.
pub struct KeyUse {
    /// Route, person and key: what the key is unique in.
    pub scope: String,
    /// SHA-256 of the request.
    pub body_digest: [u8; 32],
    /// Makes the answer that is kept.
    pub answer: Answering,
}

/// What became of an item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Recorded.
    Accepted {
        /// As decided in this commit.
        state: State,
        /// Why it is not applied.
        reason: Option<Reason>,
        /// Its log record.
        log_seq: i64,
    },
    /// The id is known, with the same content.
    Duplicate {
        /// When the first was recorded, microseconds.
        recorded_at: i64,
        /// What became of it.
        state: State,
    },
    /// The id is known, with other content.
    Conflict {
        /// When the first was recorded, microseconds.
        recorded_at: i64,
        /// What became of it.
        state: State,
        /// First differing field in table order.
        first_difference: &'static str,
        /// The logged incident; `None` where nothing was stored on purpose.
        incident: Option<String>,
    },
    /// The book mirrors an account of our own ledger and takes no other events (D4).
    Linked,
    /// The book's sums would leave 128 bits.
    Overflow,
}

/// What became of an intake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IntakeReply {
    /// One outcome per item.
    Done(Vec<Outcome>),
    /// `atomic`, and something stood against it: nothing was stored.
    Nothing(Vec<Outcome>),
    /// The key was used before for the same request.
    Replay {
        /// Status of the first answer.
        status: u16,
        /// Body of the first answer.
        answer: String,
    },
    /// The key was used before for another request; the first member that differs.
    KeyConflict(&'static str),
}
