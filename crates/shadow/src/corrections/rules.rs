//! The life cycle of a correction and its four eyes, as pure rules (contract C4).
//!
//! Every path on which a correction may reach the books (HTTP, Kafka, redrive, reversal, pair,
//! variance, the policy of a check) passes [`approve`] inside the transaction that applies it;
//! there is no other way to the status `approved`.

use std::fmt;

use crate::model::event::Direction;

/// A proposal that nobody decided within so many days is rejected as `expired`.
pub const EXPIRY_DAYS: i64 = 30;
/// The same in microseconds.
pub const EXPIRY_MICROS: i64 = EXPIRY_DAYS * 86_400_000_000;
/// The same person repeating account, type and amount within so many microseconds has probably
/// clicked twice.
pub const REPEAT_MICROS: i64 = 60_000_000;
/// The actor that stands for the installation's policy (contract C3).
pub const POLICY: &str = "policy";
/// The reason of an expiry.
pub const EXPIRED: &str = "expired";

/// Where a correction comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// From a check or a monitor.
    Auto,
    /// From a person, or by Kafka.
    Manual,
    /// Applies a rejected or reviewed event; has no entry of its own.
    Redrive,
    /// The opposite of an applied one.
    Reversal,
    /// One of two legs that apply together or not at all.
    Pair,
    /// Accepts the difference of a match by hand; has no entry.
    Variance,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 6] = [
        Self::Auto,
        Self::Manual,
        Self::Redrive,
        Self::Reversal,
        Self::Pair,
        Self::Variance,
    ];

    /// The word in JSON, tables and labels.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Manual => "manual",
            Self::Redrive => "redrive",
            Self::Reversal => "reversal",
            Self::Pair => "pair",
            Self::Variance => "variance",
        }
    }

    /// The kind of a word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }

    /// Whether its proposer approves it in the same step at or below the limit.
    pub const fn approved_at_once(self) -> bool {
        matches!(self, Self::Manual | Self::Redrive | Self::Reversal)
    }

    /// Whether it becomes an entry of its own.
    pub const fn has_entry(self) -> bool {
        !matches!(self, Self::Redrive | Self::Variance)
    }
}

/// How far a correction has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Status {
    /// Waits for a decision; nothing has moved.
    Proposed,
    /// Decided; of a linked book, its transfer has not come back yet.
    Approved,
    /// In the books.
    Applied,
    /// A final no.
    Rejected,
    /// Its reversal is in the books.
    Reversed,
}

impl Status {
    /// Every status.
    pub const ALL: [Self; 5] = [
        Self::Proposed,
        Self::Approved,
        Self::Applied,
        Self::Rejected,
        Self::Reversed,
    ];

    /// The word in JSON, tables and labels.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Proposed => "proposed",
            Self::Approved => "approved",
            Self::Applied => "applied",
            Self::Rejected => "rejected",
            Self::Reversed => "reversed",
        }
    }

    /// The status of a word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == word)
    }

    /// Still to come: it counts in `pendingCorrections`.
    pub const fn pending(self) -> bool {
        matches!(self, Self::Proposed | Self::Approved)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Through which door a proposal came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Door {
    /// A person, over HTTP.
    Http,
    /// A drift check; its proposer is whoever started it.
    Check,
    /// A monitor; its proposer is whoever set it up.
    Monitor,
    /// The topic of corrections.
    Kafka,
    /// A match by hand.
    Match,
}

impl Door {
    /// The word in tables.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Check => "check",
            Self::Monitor => "monitor",
            Self::Kafka => "kafka",
            Self::Match => "match",
        }
    }

    /// The door of a word.
    pub fn from_word(word: &str) -> Option<Self> {
        let all = [
            Self::Http,
            Self::Check,
            Self::Monitor,
            Self::Kafka,
            Self::Match,
        ];
        all.into_iter().find(|door| door.as_str() == word)
    }
}

/// A step that the rules refuse; the names are the codes of the contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The correction is not in the status that the step starts from.
    #[error("a correction that is {0} cannot take this step")]
    InvalidState(Status),
    /// Above the limit, proposer and approver are the same person.
    #[error("above the limit somebody else than the proposer must approve")]
    FourEyes,
    /// It has been reversed, or its reversal is under way.
    #[error("the correction is reversed already")]
    AlreadyReversed,
}

impl Refusal {
    /// The stable code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::InvalidState(_) => "invalid_state",
            Self::FourEyes => "four_eyes_required",
            Self::AlreadyReversed => "already_reversed",
        }
    }
}

/// Whether `approver` may approve a correction of `amount` minor units that `proposer` proposed.
/// `limit` is `shadow.four_eyes_above` of the currency; `None` switches four eyes off (the compat
/// profile). The actor `policy` is nobody's second self.
///
/// # Errors
/// [`Refusal::InvalidState`] unless it is proposed, [`Refusal::FourEyes`].
pub fn approve(
    status: Status,
    amount: i128,
    proposer: &str,
    approver: &str,
    limit: Option<i128>,
) -> Result<(), Refusal> {
    if status != Status::Proposed {
        return Err(Refusal::InvalidState(status));
    }
    let needed = limit.is_some_and(|limit| amount > limit);
    if needed && proposer == approver {
        return Err(Refusal::FourEyes);
    }
    Ok(())
}

/// Whether a correction may be rejected, or expire.
///
/// # Errors
/// [`Refusal::InvalidState`] unless it is proposed.
pub const fn reject(status: Status) -> Result<(), Refusal> {
    match status {
        Status::Proposed => Ok(()),
        other => Err(Refusal::InvalidState(other)),
    }
}

/// Whether a correction may be reversed; `reversal` is the status of its latest reversal.
///
/// # Errors
/// [`Refusal::AlreadyReversed`] or [`Refusal::InvalidState`].
pub const fn reverse(status: Status, reversal: Option<Status>) -> Result<(), Refusal> {
    match (status, reversal) {
        (Status::Reversed, _) => Err(Refusal::AlreadyReversed),
        (Status::Applied, None | Some(Status::Rejected)) => Ok(()),
        (Status::Applied, Some(_)) => Err(Refusal::AlreadyReversed),
        (other, _) => Err(Refusal::InvalidState(other)),
    }
}

/// Whether a proposal of this age, in microseconds, has expired.
pub const fn expired(proposed_at: i64, now: i64) -> bool {
    now.saturating_sub(proposed_at) >= EXPIRY_MICROS
}

/// Type and amount of a signed figure in minor units.
pub const fn entry_of(signed: i128) -> (Direction, i128) {
    match signed < 0 {
        true => (Direction::Debit, -signed),
        false => (Direction::Credit, signed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// INV-S18: no path to `approved` for the proposer above the limit.
    #[test]
    fn four_eyes_hold_above_the_limit_only() {
        let step = |amount, who, limit| approve(Status::Proposed, amount, "ana", who, limit);
        assert_eq!(step(10_000, "ana", Some(10_000)), Ok(()));
        assert_eq!(step(10_001, "ana", Some(10_000)), Err(Refusal::FourEyes));
        assert_eq!(step(10_001, "ben", Some(10_000)), Ok(()));
        assert_eq!(step(10_001, POLICY, Some(10_000)), Ok(()));
        assert_eq!(step(1, "ana", Some(0)), Err(Refusal::FourEyes));
        assert_eq!(step(i128::MAX, "ana", None), Ok(()));
    }

    /// Row 36, and what must never follow a final status.
    #[test]
    fn each_step_starts_from_one_status() {
        for status in Status::ALL {
            let proposed = status == Status::Proposed;
            let approved = approve(status, 1, "ana", "ben", Some(0));
            assert_eq!(approved.is_ok(), proposed, "approve from {status}");
            assert_eq!(reject(status).is_ok(), proposed, "reject from {status}");
            let reversed = reverse(status, None);
            assert_eq!(reversed.is_ok(), status == Status::Applied, "{status}");
        }
        let again = |status| reverse(Status::Applied, Some(status));
        assert_eq!(again(Status::Proposed), Err(Refusal::AlreadyReversed));
        assert_eq!(again(Status::Applied), Err(Refusal::AlreadyReversed));
        assert_eq!(again(Status::Rejected), Ok(()));
        assert_eq!(
            reverse(Status::Reversed, None),
            Err(Refusal::AlreadyReversed)
        );
    }

    #[test]
    fn proposals_expire_after_thirty_days() {
        assert!(!expired(5, 5 + EXPIRY_MICROS - 1));
        assert!(expired(5, 5 + EXPIRY_MICROS));
    }

    #[test]
    fn words_read_back() {
        for kind in Kind::ALL {
            assert_eq!(Kind::from_word(kind.as_str()), Some(kind));
        }
        for status in Status::ALL {
            assert_eq!(Status::from_word(status.as_str()), Some(status));
        }
        assert_eq!(entry_of(-5), (Direction::Debit, 5));
        assert_eq!(entry_of(5), (Direction::Credit, 5));
    }
}
