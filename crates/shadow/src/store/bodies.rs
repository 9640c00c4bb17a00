//! The contents of the records that the reducer reads. Short names: there are many of them.

use serde::{Deserialize, Serialize};

use crate::model::book::Change;
use crate::model::{BookId, Direction, Event, Reason, State};

/// Content of an `event` record; the account and currency stand in the record's columns.
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct EventBody {
    /// Event id.
    pub event_id: String,
    /// `credit` or `debit`.
    #[serde(rename = "type")]
    pub direction: String,
    /// Minor units as decimal digits.
    pub minor: String,
    /// Epoch milliseconds.
    pub timestamp: i64,
    /// Reference.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reference: Option<String>,
    /// Description.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub description: Option<String>,
    /// Source.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub source: Option<String>,
    /// Sequence.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub sequence: Option<i64>,
    /// The state that it got.
    pub state: String,
    /// Why it is not applied.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reason: Option<String>,
    /// Final at once.
    #[serde(rename = "final")]
    pub is_final: bool,
    /// Until when it is open, microseconds.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub deadline: Option<i64>,
    /// Policy that decided.
    pub policy: String,
    /// How it came: `http`, `batch`, `kafka`, `feed`, `correction`.
    pub entrance: String,
    /// A correction of ours.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub correction: bool,
    /// The event that a correction is about.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub cause: Option<String>,
}

impl EventBody {
    /// The event behind it; `None` if the content is damaged.
    pub fn event(self, book: BookId) -> Option<Event> {
        Some(Event {
            event_id: self.event_id,
            account_id: book.account_id,
            direction: Direction::from_word(&self.direction)?,
            amount: self.minor.parse().ok()?,
            timestamp: self.timestamp,
            currency: book.currency,
            reference: self.reference,
            description: self.description,
            source: self.source,
            sequence: self.sequence,
        })
    }

    /// The state; `None` if the content is damaged.
    pub fn state(&self) -> Option<State> {
        State::from_word(&self.state)
    }
}

/// Content of a `decision` or `final` record; the event is the record's subject.
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct DecisionBody {
    /// Event id.
    pub event_id: String,
    /// Event time, for the reducer to find the place.
    pub timestamp: i64,
    /// State before.
    pub from: String,
    /// State now.
    pub to: String,
    /// Why.
    pub reason: String,
    /// Final from now on.
    #[serde(rename = "final")]
    pub is_final: bool,
    /// The running balance that decided, minor units as decimal digits.
    pub running: String,
    /// Policy that decided.
    pub policy: String,
    /// A person's reason.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub note: Option<String>,
}

/// What is told about a new event.
pub(super) fn emitted(state: State) -> &'static str {
    match state {
        State::Applied => "shadow.event.applied",
        State::Held => "shadow.event.held",
        State::HeldForReview => "shadow.event.held_for_review",
        State::Rejected => "shadow.event.rejected",
    }
}

/// What is told about a change.
pub(super) fn changed(change: &Change) -> &'static str {
    match (change.is_final, change.to) {
        (true, state) => emitted(state),
        (false, _) => "shadow.event.flipped",
    }
}

/// Why the event is not applied now; `None` for one that is.
pub(super) fn stored_reason(to: &State, reason: Reason) -> Option<Reason> {
    match to {
        State::Applied => None,
        _ => Some(reason),
    }
}
