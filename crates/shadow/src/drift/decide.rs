//! From a difference and its explanation to a verdict: coarse class and action (contract C1, C3).
//! Pure: what is posted, and by whom it must be approved, is the corrections' business.

use super::explain::{Basis, Explanation, Remedy};
use super::policy::{AutoLimits, Mode};

/// The coarse class `mismatchType`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mismatch {
    /// The book has no recorded event in any state.
    UnknownAccount,
    /// Within tolerance.
    None,
    /// Rivals, or a bound that left the search open.
    ManualReview,
    /// The difference is positive.
    MissingCredit,
    /// The difference is negative.
    IncorrectDebit,
}

impl Mismatch {
    /// Every class, for metrics and filters.
    pub const ALL: [Self; 5] = [
        Self::UnknownAccount,
        Self::None,
        Self::ManualReview,
        Self::MissingCredit,
        Self::IncorrectDebit,
    ];

    /// The word in JSON and labels.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::UnknownAccount => "unknown_account",
            Self::None => "none",
            Self::ManualReview => "manual_review",
            Self::MissingCredit => "missing_credit",
            Self::IncorrectDebit => "incorrect_debit",
        }
    }

    /// The class of a word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.as_str() == word)
    }
}

/// What the check does: `correctionAction`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// Nothing is to be done.
    None,
    /// Older corrections cover the difference already.
    Pending,
    /// Posted by the machine.
    AutoCorrected,
    /// Proposed to people.
    Proposed,
    /// People must look.
    ManualReviewRequired,
}

impl Action {
    /// The word in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Pending => "pending",
            Self::AutoCorrected => "auto_corrected",
            Self::Proposed => "proposed",
            Self::ManualReviewRequired => "manual_review_required",
        }
    }

    /// Whether a correction is made.
    pub const fn makes_one(self) -> bool {
        matches!(self, Self::AutoCorrected | Self::Proposed)
    }

    /// The action of a word.
    pub fn from_word(word: &str) -> Option<Self> {
        let all = [
            Self::None,
            Self::Pending,
            Self::AutoCorrected,
            Self::Proposed,
            Self::ManualReviewRequired,
        ];
        all.into_iter().find(|action| action.as_str() == word)
    }
}

/// What is known about one compared account.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// The book has at least one recorded event.
    pub known: bool,
    /// The book mirrors an account of our own ledger.
    pub linked: bool,
    /// reported − shadow, minor units.
    pub difference: i128,
    /// The difference is within tolerance.
    pub tolerated: bool,
    /// Sum of proposed and approved corrections is not zero and leaves a net drift within
    /// tolerance.
    pub covered: bool,
    /// What the search found; `None` where it was not run (match).
    pub explanation: Option<&'a Explanation>,
    /// The partner of a pair is a book of the same check with the same, unique explanation.
    pub pair_agrees: bool,
    /// The balance that was reported, minor units.
    pub reported: i128,
    /// What automatic corrections of the book came to on this UTC day, minor units.
    pub spent_today: i128,
    /// Limits of the book's currency.
    pub limits: AutoLimits,
    /// Mode of the check.
    pub mode: Mode,
}

/// The coarse class: the first that holds.
pub fn mismatch(facts: &Facts<'_>) -> Mismatch {
    let open = |found: &Explanation| found.rivals > 0 || found.bounded;
    if !facts.known {
        Mismatch::UnknownAccount
    } else if facts.tolerated {
        Mismatch::None
    } else if facts.explanation.is_some_and(open) {
        Mismatch::ManualReview
    } else if facts.difference > 0 {
        Mismatch::MissingCredit
    } else {
        Mismatch::IncorrectDebit
    }
}

/// What the check does about it. `AutoCorrected` may still turn into `Proposed` when the posting
/// does not fit at the commit.
pub fn action(facts: &Facts<'_>) -> Action {
    if facts.tolerated {
        return Action::None;
    }
    if facts.covered {
        return Action::Pending;
    }
    let Some(solution) = facts.explanation.and_then(Explanation::unique) else {
        return Action::ManualReviewRequired;
    };
    if solution.remedy == Remedy::Wait {
        return Action::None;
    }
    let unsure_pair = matches!(solution.remedy, Remedy::Pair { .. }) && !facts.pair_agrees;
    let repairable = solution.class.repairable() && !unsure_pair;
    if !repairable || facts.mode == Mode::Report {
        return Action::ManualReviewRequired;
    }
    let amount = solution.remedy.amount().unwrap_or(0);
    let sure = solution.basis == Basis::Record && solution.proven && facts.known;
    let within = facts
        .limits
        .allow(amount, facts.reported, facts.spent_today);
    if facts.mode == Mode::Auto && sure && !facts.linked && within {
        Action::AutoCorrected
    } else {
        Action::Proposed
    }
}

#[cfg(test)]
mod tests {
    use super::super::explain::{Class, Solution};
    use super::*;

    fn found(class: Class, basis: Basis, remedy: Remedy) -> Explanation {
        Explanation {
            class,
            basis: Some(basis),
            solution: Some(Solution {
                class,
                basis,
                events: vec!["e".into()],
                lines: vec![],
                terms: vec![50],
                remedy,
                proven: true,
            }),
            rivals: 0,
            bounded: false,
            others: vec![],
            pattern_rivals: vec![],
        }
    }

    fn credit() -> Explanation {
        let remedy = Remedy::Entry {
            amount: 50,
            at: 1,
            cause: None,
            line: Some("l".into()),
        };
        found(Class::Missing, Basis::Record, remedy)
    }

    fn facts(explanation: Option<&Explanation>) -> Facts<'_> {
        Facts {
            known: true,
            linked: false,
            difference: 50,
            tolerated: false,
            covered: false,
            explanation,
            pair_agrees: false,
            reported: 100_000,
            spent_today: 0,
            limits: AutoLimits::of_default_currency(2),
            mode: Mode::Auto,
        }
    }

    /// INV-S17: automatic only with one explanation, `record`, within all limits.
    #[test]
    fn auto_needs_everything() {
        let credit = credit();
        let base = facts(Some(&credit));
        assert_eq!(action(&base), Action::AutoCorrected);
        let but = |change: fn(&mut Facts<'_>)| {
            let mut facts = base;
            change(&mut facts);
            action(&facts)
        };
        assert_eq!(but(|f| f.linked = true), Action::Proposed);
        assert_eq!(but(|f| f.mode = Mode::Propose), Action::Proposed);
        assert_eq!(but(|f| f.reported = 4_999), Action::Proposed);
        assert_eq!(but(|f| f.spent_today = 1_000_000), Action::Proposed);
        assert_eq!(but(|f| f.limits = AutoLimits::default()), Action::Proposed);
        assert_eq!(but(|f| f.known = false), Action::Proposed);
        assert_eq!(but(|f| f.mode = Mode::Report), Action::ManualReviewRequired);
        assert_eq!(but(|f| f.covered = true), Action::Pending);
        assert_eq!(but(|f| f.tolerated = true), Action::None);

        let mut pattern = credit.clone();
        pattern.solution.as_mut().expect("one").basis = Basis::Pattern;
        assert_eq!(action(&facts(Some(&pattern))), Action::Proposed);
        let mut unproven = credit.clone();
        unproven.solution.as_mut().expect("one").proven = false;
        assert_eq!(action(&facts(Some(&unproven))), Action::Proposed);
        for (rivals, bounded) in [(1, false), (0, true)] {
            let mut open = credit.clone();
            (open.rivals, open.bounded) = (rivals, bounded);
            let facts = facts(Some(&open));
            assert_eq!(action(&facts), Action::ManualReviewRequired);
            assert_eq!(mismatch(&facts), Mismatch::ManualReview);
        }
    }

    #[test]
    fn timing_and_subsets_post_nothing() {
        let timing = found(Class::Timing, Basis::Record, Remedy::Wait);
        assert_eq!(action(&facts(Some(&timing))), Action::None);
        let subset = found(Class::Subset, Basis::Pattern, Remedy::People);
        assert_eq!(action(&facts(Some(&subset))), Action::ManualReviewRequired);
        let pair = Remedy::Pair {
            amount: 50,
            other: "B".into(),
            at: 1,
            cause: "e".into(),
            cause_in_other: true,
        };
        let pair = found(Class::WrongAccount, Basis::Record, pair);
        let mut facts = facts(Some(&pair));
        assert_eq!(action(&facts), Action::ManualReviewRequired);
        facts.pair_agrees = true;
        assert_eq!(action(&facts), Action::AutoCorrected);
    }

    #[test]
    fn the_first_coarse_class_that_holds() {
        let credit = credit();
        let mut facts = facts(Some(&credit));
        assert_eq!(mismatch(&facts), Mismatch::MissingCredit);
        facts.difference = -50;
        assert_eq!(mismatch(&facts), Mismatch::IncorrectDebit);
        facts.tolerated = true;
        assert_eq!(mismatch(&facts), Mismatch::None);
        facts.known = false;
        assert_eq!(mismatch(&facts), Mismatch::UnknownAccount);
    }
}
