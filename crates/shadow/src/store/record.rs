//! Records of the log: what is appended, and the bytes that are chained.
//!
//! **How to add a kind of record.** Choose a word (`correction`, `match`, `statement`, …), make
//! a [`NewRecord`] with it inside [`Shadow::write`](super::Shadow::write) and give it to
//! [`Session::append`](super::Session::append). Nothing else is needed: the record is numbered,
//! chained, stamped and committed together with whatever SQL the same closure runs on
//! [`Session::tx`](super::Session::tx). With `emits` set, the outbox tells the outside about it.
//! A kind that is to change entries must do so through the session
//! ([`enter_correction`](super::Session::enter_correction),
//! [`redrive`](super::Session::redrive), [`reject`](super::Session::reject)), which appends the
//! records that the reducer reads: `event` brings an entry, `decision` changes a state, `final`
//! ends the grace of an applied debit. The reducer skips all other kinds.

use serde::Serialize;

use crate::model::BookId;
use crate::model::digest::link;

/// Kinds that the reducer reads.
pub mod kind {
    /// An event, with the state that it got.
    pub const EVENT: &str = "event";
    /// A change of an event's state after that.
    pub const DECISION: &str = "decision";
    /// The end of the grace of an applied debit: nothing but `final` changes.
    pub const FINAL: &str = "final";
    /// Two contents under one event id, or another thing that a person must look at.
    pub const INCIDENT: &str = "incident";
    /// A setting of a book.
    pub const SETTING: &str = "setting";
    /// An instant up to which an answer was given (contract B1).
    pub const MARK: &str = "mark";
}

/// Who does something, in which role, within which trace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// The identity behind the credential, or `policy`, `deadline`, `kafka`, `feed`.
    pub subject: String,
    /// The role that allowed it.
    pub role: Option<String>,
    /// Trace id.
    pub trace_id: Option<String>,
}

impl Actor {
    /// Something that this program does by itself.
    pub fn system(name: &str) -> Self {
        Self {
            subject: name.to_owned(),
            role: None,
            trace_id: None,
        }
    }
}

/// A record to be appended.
#[derive(Debug, Clone)]
pub struct NewRecord {
    /// Which kind; see the module.
    pub kind: &'static str,
    /// The book it is about.
    pub book: Option<BookId>,
    /// The event, correction, statement, match … it is about.
    pub subject: Option<String>,
    /// Who.
    pub actor: Actor,
    /// Name of the event that the outbox publishes for it.
    pub emits: Option<&'static str>,
    /// Its content: a JSON object.
    pub body: String,
}

impl NewRecord {
    /// A record of a kind with a content.
    pub fn new(kind: &'static str, actor: Actor, body: &impl Serialize) -> Self {
        Self {
            kind,
            book: None,
            subject: None,
            actor,
            emits: None,
            body: serde_json::to_string(body).expect("records hold plain values"),
        }
    }

    /// Sets the book.
    #[must_use]
    pub fn about(mut self, book: &BookId) -> Self {
        self.book = Some(book.clone());
        self
    }

    /// Sets the subject.
    #[must_use]
    pub fn subject(mut self, subject: impl Into<String>) -> Self {
        self.subject = Some(subject.into());
        self
    }

    /// Sets what the outbox publishes, such as `shadow.correction.proposed` (contract E).
    #[must_use]
    pub fn emits(mut self, name: &'static str) -> Self {
        self.emits = Some(name);
        self
    }
}

/// The place of a record: what the chain adds to it.
#[derive(Debug, Clone, Copy)]
pub struct Stamp {
    /// Its number.
    pub log_seq: i64,
    /// When it was committed, microseconds.
    pub recorded_at: i64,
}

/// The columns of a record that are chained, in the order of the table.
#[derive(Debug)]
pub struct Chained<'a> {
    /// Number and time.
    pub stamp: Stamp,
    /// Kind.
    pub kind: &'a str,
    /// Account of its book.
    pub account_id: Option<&'a str>,
    /// Currency of its book.
    pub currency: Option<&'a str>,
    /// Subject.
    pub subject: Option<&'a str>,
    /// Who.
    pub actor: &'a str,
    /// In which role.
    pub role: Option<&'a str>,
    /// Trace id.
    pub trace_id: Option<&'a str>,
    /// What the outbox publishes.
    pub emits: Option<&'a str>,
    /// Content.
    pub body: &'a str,
}

impl Chained<'_> {
    /// The next link of the chain (contract B4): the canonical bytes are a JSON array of all
    /// columns but body and hash, LF, and the body as it is stored.
    pub fn link(&self, previous: &[u8; 32]) -> [u8; 32] {
        let head = (
            self.stamp.log_seq,
            self.stamp.recorded_at,
            self.kind,
            self.account_id,
            self.currency,
            self.subject,
            self.actor,
            self.role,
            self.trace_id,
            self.emits,
        );
        let mut bytes = serde_json::to_vec(&head).expect("texts and numbers");
        bytes.push(b'\n');
        bytes.extend_from_slice(self.body.as_bytes());
        link(previous, &bytes)
    }
}
