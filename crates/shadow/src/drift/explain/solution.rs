//! What the search answers.

use std::fmt;

/// The evidence classes of the contract, section C2, in its order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// 1: nothing is wrong but the moment of the comparison.
    Timing,
    /// 2: a record that does not count in the balance.
    Missing,
    /// 3: an entry taken twice.
    Duplicate,
    /// 4: an entry with the wrong sign.
    WrongSign,
    /// 5: an entry with the wrong amount.
    WrongAmount,
    /// 5: an entry with two neighbouring digits swapped.
    TransposedDigits,
    /// 6: an entry in the wrong book.
    WrongAccount,
    /// 7: several records together.
    Subset,
    /// 8: nothing found.
    Unexplained,
}

impl Class {
    /// Every class.
    pub const ALL: [Self; 9] = [
        Self::Timing,
        Self::Missing,
        Self::Duplicate,
        Self::WrongSign,
        Self::WrongAmount,
        Self::TransposedDigits,
        Self::WrongAccount,
        Self::Subset,
        Self::Unexplained,
    ];

    /// The name in answers, filters and labels.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Timing => "timing",
            Self::Missing => "missing",
            Self::Duplicate => "duplicate",
            Self::WrongSign => "wrong_sign",
            Self::WrongAmount => "wrong_amount",
            Self::TransposedDigits => "transposed_digits",
            Self::WrongAccount => "wrong_account",
            Self::Subset => "subset",
            Self::Unexplained => "unexplained",
        }
    }

    /// The class of a name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.as_str() == name)
    }

    /// Classes 2 to 6: a correction can repair it.
    pub const fn repairable(self) -> bool {
        !matches!(self, Self::Timing | Self::Subset | Self::Unexplained)
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How well a solution is supported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Basis {
    /// A second record confirms it.
    Record,
    /// Arithmetic only.
    Pattern,
}

impl Basis {
    /// The name in answers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Record => "record",
            Self::Pattern => "pattern",
        }
    }
}

/// What would repair the difference if the solution is right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Remedy {
    /// Nothing: the difference goes away by itself.
    Wait,
    /// Apply an event that was rejected or stands in review.
    Redrive {
        /// The event.
        event_id: String,
        /// Its signed minor units: the difference.
        amount: i128,
        /// Its event time, epoch ms.
        at: i64,
    },
    /// An entry of our own.
    Entry {
        /// Signed minor units: the difference.
        amount: i128,
        /// Effective time, epoch ms.
        at: i64,
        /// The entry that it repairs, if there is one.
        cause: Option<String>,
        /// The statement line that it follows, if there is one.
        line: Option<String>,
    },
    /// Two entries of our own, both or none.
    Pair {
        /// Signed minor units in this book: the difference. The other book gets the opposite.
        amount: i128,
        /// The other book's account.
        other: String,
        /// Effective time of both, epoch ms.
        at: i64,
        /// The entry that stands in the wrong book.
        cause: String,
        /// The entry stands in the other book.
        cause_in_other: bool,
    },
    /// People.
    People,
}

impl Remedy {
    /// What the remedy adds to the book, in minor units; `None` where nothing is posted.
    pub const fn amount(&self) -> Option<i128> {
        match self {
            Self::Wait | Self::People => None,
            Self::Redrive { amount, .. }
            | Self::Entry { amount, .. }
            | Self::Pair { amount, .. } => Some(*amount),
        }
    }
}

/// One way in which records explain the difference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Solution {
    /// Its class.
    pub class: Class,
    /// Its support.
    pub basis: Basis,
    /// Event ids, at most [`MAX_EVIDENCE`].
    pub events: Vec<String>,
    /// Statement line ids, at most [`MAX_EVIDENCE`].
    pub lines: Vec<String>,
    /// Signed minor units that sum to the difference.
    pub terms: Vec<i128>,
    /// What would repair it.
    pub remedy: Remedy,
    /// Every cited line stands in a statement whose balances agree.
    pub proven: bool,
}

/// Most ids of one kind cited by one solution.
pub const MAX_EVIDENCE: usize = 20;
/// Most rivals shown in full.
pub const MAX_SHOWN: usize = 20;
/// Solutions are counted up to here.
pub const MAX_COUNTED: u32 = 1_000;

/// The outcome of the search.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// Class of the first solution, or [`Class::Unexplained`].
    pub class: Class,
    /// `None` when unexplained.
    pub basis: Option<Basis>,
    /// The first solution.
    pub solution: Option<Solution>,
    /// Solutions − 1; 0 when unexplained.
    pub rivals: u32,
    /// A bound ended the search before it was settled.
    pub bounded: bool,
    /// Further solutions, at most [`MAX_SHOWN`].
    pub others: Vec<Solution>,
    /// Solutions by arithmetic beside one by record, at most [`MAX_SHOWN`].
    pub pattern_rivals: Vec<Solution>,
}

impl Explanation {
    /// The only solution, if there is exactly one and no bound left it open.
    pub fn unique(&self) -> Option<&Solution> {
        match &self.solution {
            Some(solution) if self.rivals == 0 && !self.bounded => Some(solution),
            _ => None,
        }
    }
}

/// Collects solutions of one basis: the first ones in full, the rest by number.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub shown: Vec<Solution>,
    pub count: u32,
}

impl Found {
    pub fn push(&mut self, solution: Solution) {
        self.count = (self.count + 1).min(MAX_COUNTED);
        if self.shown.len() <= MAX_SHOWN {
            self.shown.push(solution);
        }
    }
}
