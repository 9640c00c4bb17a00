//! Kinds of monitors, what they watch, and when a state becomes an alert (contract E). Pure.
//!
//! **Invariant.** There is at most one open alert for a monitor and a book; it is cleared by the
//! first look that finds nothing wrong, and only then another may follow.

use crate::drift::tolerance::Tolerance;

/// What a monitor compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The newest bank closing balance, or the figure last given to a drift check, with ours.
    Drift,
    /// The oldest held event past its deadline.
    HeldAge,
    /// The oldest event held for review.
    ReviewAge,
    /// Numbers missing in a source's sequence.
    SequenceGap,
    /// How far a linked book lies behind the ledger's feed.
    FeedLag,
    /// Parked dead letters.
    DeadLetters,
    /// An opening balance that is not the closing before.
    StatementGap,
    /// No statement for too long.
    StatementLate,
    /// A rebuild of a rolling share of books.
    SelfCheck,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 9] = [
        Self::Drift,
        Self::HeldAge,
        Self::ReviewAge,
        Self::SequenceGap,
        Self::FeedLag,
        Self::DeadLetters,
        Self::StatementGap,
        Self::StatementLate,
        Self::SelfCheck,
    ];

    /// The word in JSON and labels.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Drift => "drift",
            Self::HeldAge => "held_age",
            Self::ReviewAge => "review_age",
            Self::SequenceGap => "sequence_gap",
            Self::FeedLag => "feed_lag",
            Self::DeadLetters => "dead_letters",
            Self::StatementGap => "statement_gap",
            Self::StatementLate => "statement_late",
            Self::SelfCheck => "self_check",
        }
    }

    /// The kind of a word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }

    /// How long a state must last before it is an alert, seconds, unless the monitor says
    /// otherwise.
    pub const fn default_sustain(self) -> i64 {
        match self {
            Self::Drift => 300,
            Self::HeldAge | Self::SequenceGap | Self::FeedLag => 60,
            Self::ReviewAge => 4 * 3_600,
            Self::StatementLate => 36 * 3_600,
            Self::DeadLetters | Self::StatementGap | Self::SelfCheck => 0,
        }
    }

    /// How loud it is unless the monitor says otherwise.
    pub const fn default_severity(self) -> Severity {
        match self {
            Self::SelfCheck => Severity::Critical,
            Self::Drift | Self::FeedLag | Self::StatementGap => Severity::High,
            Self::HeldAge | Self::ReviewAge | Self::SequenceGap => Severity::Medium,
            Self::DeadLetters | Self::StatementLate => Severity::Medium,
        }
    }
}

/// How loud an alert is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Somebody should look this week.
    Low,
    /// Today.
    Medium,
    /// Now.
    High,
    /// Now, and the books are not to be trusted.
    Critical,
}

impl Severity {
    /// Every severity.
    pub const ALL: [Self; 4] = [Self::Low, Self::Medium, Self::High, Self::Critical];

    /// The word in JSON and labels.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Low => "LOW",
            Self::Medium => "MEDIUM",
            Self::High => "HIGH",
            Self::Critical => "CRITICAL",
        }
    }

    /// The severity of a word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.as_str() == word)
    }
}

/// Shortest time between two looks, seconds.
pub const EVERY_MIN: i64 = 10;
/// Longest time between two looks, seconds: a day.
pub const EVERY_MAX: i64 = 86_400;
/// Longest time that a state may have to last, seconds: 30 days.
pub const SUSTAIN_MAX: i64 = 30 * 86_400;
/// Most account ids or prefixes of one monitor.
pub const ACCOUNTS_MAX: usize = 1_000;

/// Which accounts a monitor watches: ids, prefixes written with `*`, or `*` for all. None given
/// means all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Accounts(pub Vec<String>);

impl Accounts {
    /// Whether an account is watched.
    pub fn watch(&self, account: &str) -> bool {
        let fits = |pattern: &String| match pattern.strip_suffix('*') {
            Some(prefix) => account.starts_with(prefix),
            None => account == pattern,
        };
        self.0.is_empty() || self.0.iter().any(fits)
    }
}

/// A monitor as it was set up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Monitor {
    /// Its name, unique.
    pub name: String,
    /// What it compares.
    pub kind: Kind,
    /// Which accounts.
    pub accounts: Accounts,
    /// Only this currency.
    pub currency: Option<String>,
    /// Seconds between two looks.
    pub every_seconds: i64,
    /// What is not yet a drift.
    pub threshold: Tolerance,
    /// How long a state must last, seconds.
    pub sustain_seconds: i64,
    /// How loud its alerts are.
    pub severity: Severity,
    /// Who set it up: the proposer of what follows from it.
    pub set_by: String,
}

impl Monitor {
    /// Whether a book is watched.
    pub fn watches(&self, account: &str, currency: &str) -> bool {
        let currency_fits = self.currency.as_deref().is_none_or(|c| c == currency);
        currency_fits && self.accounts.watch(account)
    }
}

/// What is remembered between two looks at one book.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Memory {
    /// Since when something is wrong, microseconds.
    pub since: Option<i64>,
    /// An alert is open.
    pub alerted: bool,
}

/// What follows from a look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Nothing changes that anybody is told.
    Quiet,
    /// A new alert.
    Raise,
    /// The open alert ends.
    Clear,
}

/// One look at one book. `since` is when the state began as far as the records tell, microseconds;
/// `None` means nothing is wrong. A state without a time of its own begins with the look that
/// finds it.
pub const fn look(
    memory: Memory,
    since: Option<i64>,
    sustain_seconds: i64,
    now: i64,
) -> (Memory, Step) {
    let Some(found) = since else {
        let step = if memory.alerted {
            Step::Clear
        } else {
            Step::Quiet
        };
        let quiet = Memory {
            since: None,
            alerted: false,
        };
        return (quiet, step);
    };
    let began = match memory.since {
        Some(known) if known < found => known,
        _ => found,
    };
    let lasted = now.saturating_sub(began) >= sustain_seconds.saturating_mul(1_000_000);
    let next = Memory {
        since: Some(began),
        alerted: memory.alerted || lasted,
    };
    let step = if lasted && !memory.alerted {
        Step::Raise
    } else {
        Step::Quiet
    };
    (next, step)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000;

    #[test]
    fn one_alert_until_cleared() {
        let mut memory = Memory::default();
        let mut steps = Vec::new();
        // Wrong from second 10 on, right at 400, wrong again from 500.
        let looks = [
            (0, false),
            (10, true),
            (300, true),
            (310, true),
            (390, true),
        ];
        let later = [(400, false), (410, false), (500, true), (800, true)];
        for (at, wrong) in looks.into_iter().chain(later) {
            let now = at * SECOND;
            let (next, step) = look(memory, wrong.then_some(now), 300, now);
            memory = next;
            if step != Step::Quiet {
                steps.push((at, step));
            }
        }
        assert_eq!(
            steps,
            [(310, Step::Raise), (400, Step::Clear), (800, Step::Raise)]
        );
    }

    #[test]
    fn a_state_with_a_time_of_its_own_counts_from_there() {
        let now = 1_000 * SECOND;
        let (_, step) = look(Memory::default(), Some(now - 61 * SECOND), 60, now);
        assert_eq!(step, Step::Raise);
        let (memory, step) = look(Memory::default(), Some(now - 59 * SECOND), 60, now);
        assert_eq!(step, Step::Quiet);
        assert_eq!(memory.since, Some(now - 59 * SECOND));
        let (_, step) = look(Memory::default(), Some(now), 0, now);
        assert_eq!(step, Step::Raise, "any");
    }

    #[test]
    fn accounts_are_ids_or_prefixes() {
        let some = Accounts(vec!["B21".into(), "S-*".into()]);
        assert!(some.watch("B21") && some.watch("S-7"));
        assert!(!some.watch("B211") && !some.watch("T-7"));
        assert!(Accounts::default().watch("any"));
        assert!(Accounts(vec!["*".into()]).watch("any"));
    }

    #[test]
    fn words_read_back() {
        for kind in Kind::ALL {
            assert_eq!(Kind::from_word(kind.as_str()), Some(kind));
            assert!(kind.default_sustain() <= SUSTAIN_MAX);
        }
        for severity in Severity::ALL {
            assert_eq!(Severity::from_word(severity.as_str()), Some(severity));
        }
    }
}
