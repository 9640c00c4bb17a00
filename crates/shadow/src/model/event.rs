//! Books, events and their states (contract section 0, A1, A4).

use std::fmt;

/// A book: one account in one currency. Balances, order, decisions and digests are per book.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BookId {
    /// The account's id as callers write it.
    pub account_id: String,
    /// A registered asset code.
    pub currency: String,
}

impl BookId {
    /// A book of this account and currency.
    pub fn new(account_id: impl Into<String>, currency: impl Into<String>) -> Self {
        Self {
            account_id: account_id.into(),
            currency: currency.into(),
        }
    }
}

impl fmt::Display for BookId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.account_id, self.currency)
    }
}

/// The only order of events: timestamp ascending, then the id by bytes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// Event time, milliseconds since 1970-01-01T00:00:00Z.
    pub timestamp: i64,
    /// Id of the event.
    pub event_id: String,
}

impl Key {
    /// A key of this time (epoch milliseconds) and event.
    pub fn new(timestamp: i64, event_id: impl Into<String>) -> Self {
        Self {
            timestamp,
            event_id: event_id.into(),
        }
    }
}

/// Which way an event moves its book.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// Raises the balance.
    Credit,
    /// Lowers the balance.
    Debit,
}

impl Direction {
    /// The word in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Credit => "credit",
            Self::Debit => "debit",
        }
    }

    /// The direction of a word, written exactly so.
    pub fn from_word(word: &str) -> Option<Self> {
        match word {
            "credit" => Some(Self::Credit),
            "debit" => Some(Self::Debit),
            _ => None,
        }
    }

    /// The other one.
    pub const fn opposite(self) -> Self {
        match self {
            Self::Credit => Self::Debit,
            Self::Debit => Self::Credit,
        }
    }

    /// `amount` with the sign that it has in the balance.
    pub const fn signed(self, amount: i128) -> i128 {
        match self {
            Self::Credit => amount,
            Self::Debit => -amount,
        }
    }
}

/// What became of an event (contract A4). Exactly one at a time (INV-S5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// Counts in the balance: the event is an entry.
    Applied,
    /// Waits for a credit or for its deadline.
    Held,
    /// A late debit that would break decided history; waits for an admin.
    HeldForReview,
    /// A final no.
    Rejected,
}

impl State {
    /// Every state, in the order of its number in tables.
    pub const ALL: [Self; 4] = [
        Self::Applied,
        Self::Held,
        Self::HeldForReview,
        Self::Rejected,
    ];

    /// The word in JSON, digests and log records.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Held => "held",
            Self::HeldForReview => "held_for_review",
            Self::Rejected => "rejected",
        }
    }

    /// The state of a word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == word)
    }
}

/// Why a debit is not applied, or why a state changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The balance at the debit's own position does not suffice.
    Insufficient,
    /// A later position would fall below the floor.
    BreaksHistory,
    /// It fits now.
    Fits,
    /// Its deadline passed.
    Deadline,
    /// An admin redrove it.
    Redrive,
    /// An admin rejected it.
    Reject,
}

impl Reason {
    /// Every reason.
    pub const ALL: [Self; 6] = [
        Self::Insufficient,
        Self::BreaksHistory,
        Self::Fits,
        Self::Deadline,
        Self::Redrive,
        Self::Reject,
    ];

    /// The word in JSON and log records.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Insufficient => "insufficient",
            Self::BreaksHistory => "breaks_history",
            Self::Fits => "fits",
            Self::Deadline => "deadline",
            Self::Redrive => "redrive",
            Self::Reject => "reject",
        }
    }

    /// The reason of a word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == word)
    }
}

/// An event after validation and normalisation: the fields of contract A1 in table order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Unique over the installation and for ever.
    pub event_id: String,
    /// Whose account.
    pub account_id: String,
    /// Which way.
    pub direction: Direction,
    /// Minor units, 1 to 10^30 - 1.
    pub amount: i128,
    /// Event time in epoch milliseconds.
    pub timestamp: i64,
    /// Asset code, the default one filled in.
    pub currency: String,
    /// At most 140 characters.
    pub reference: Option<String>,
    /// At most 500 characters.
    pub description: Option<String>,
    /// At most 64 characters; who counted [`Event::sequence`].
    pub source: Option<String>,
    /// Counts up per source without gaps.
    pub sequence: Option<i64>,
}

impl Event {
    /// The event's book.
    pub fn book(&self) -> BookId {
        BookId::new(&self.account_id, &self.currency)
    }

    /// The event's place in its book.
    pub fn key(&self) -> Key {
        Key::new(self.timestamp, &self.event_id)
    }

    /// The amount with the sign that it has in the balance, in minor units.
    pub const fn signed(&self) -> i128 {
        self.direction.signed(self.amount)
    }

    /// Name of the first field, in table order, in which two events differ.
    pub fn first_difference(&self, other: &Self) -> Option<&'static str> {
        let checks = [
            (self.event_id != other.event_id, "eventId"),
            (self.account_id != other.account_id, "accountId"),
            (self.direction != other.direction, "type"),
            (self.amount != other.amount, "amount"),
            (self.timestamp != other.timestamp, "timestamp"),
            (self.currency != other.currency, "currency"),
            (self.reference != other.reference, "reference"),
            (self.description != other.description, "description"),
            (self.source != other.source, "source"),
            (self.sequence != other.sequence, "sequence"),
        ];
        checks.iter().find(|(differs, _)| *differs).map(|(_, f)| *f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_sort_by_time_then_by_bytes() {
        let mut keys = [Key::new(2, "a"), Key::new(1, "b"), Key::new(1, "B")];
        keys.sort();
        assert_eq!(keys, [Key::new(1, "B"), Key::new(1, "b"), Key::new(2, "a")]);
    }

    #[test]
    fn words_read_back() {
        for state in State::ALL {
            assert_eq!(State::from_word(state.as_str()), Some(state));
        }
        for reason in Reason::ALL {
            assert_eq!(Reason::from_word(reason.as_str()), Some(reason));
        }
        assert_eq!(Direction::from_word("CREDIT"), None);
    }
}
