//! Which records explain exactly a difference (contract, section C2).
//!
//! **Purpose.** A pure search over the records of one book: classes 1 to 6 are all searched and
//! every solution counts, class 7 only if they give none, class 8 is the honest rest.
//!
//! **Boundary.** Records come in as [`BookFacts`]; where they are stored, what is posted and who
//! may post it are other modules' business. No clock, no I/O, no chance.
//!
//! **Invariants.** The order of the input within equal keys is the only thing an answer depends
//! on beside its content; the terms of every solution sum to exactly the difference (INV-S15);
//! every loop is bounded, and a bound that was met is told (`bounded`).
//!
//! Choices where the contract leaves one: a confirming line of `wrong_sign` must show the amount
//! that the solution says; an entry that a correction has repaired explains nothing any more; an
//! open held event and a line with its reference are one fact, of class `timing`; where timing
//! passes over an entry that another class takes for a duplicate or a wrong one, that solution is
//! a rival although it stands on arithmetic: a payment taken twice at the end of a day would else
//! be waited for, without anybody being told.

mod account;
mod digits;
mod entries;
mod facts;
mod groups;
mod solution;
mod subset;
mod timing;

#[cfg(test)]
mod tests;

pub use digits::transposed;
pub use facts::{BookFacts, Case, DAY_MS, EntryFact, LineFact, Neighbour, Unapplied};
pub use facts::{UnappliedFact, normal};
pub use solution::{Basis, Class, Explanation, MAX_COUNTED, MAX_EVIDENCE, MAX_SHOWN};
pub use solution::{Remedy, Solution};

use groups::{Group, groups};
use solution::Found;

/// Solutions by record and by arithmetic, each in the order of the classes.
#[derive(Debug, Default)]
struct Search {
    record: Found,
    pattern: Found,
}

impl Search {
    fn add(&mut self, solution: Solution) {
        match solution.basis {
            Basis::Record => self.record.push(solution),
            Basis::Pattern => self.pattern.push(solution),
        }
    }
}

/// Explains the difference of a case. The difference must not be zero.
pub fn explain(case: &Case<'_>) -> Explanation {
    debug_assert!(case.difference != 0, "nothing to explain");
    let moved = account::solutions(case);
    let claimed = |line: &str| moved.claimed.iter().any(|id| id == line);
    let mut search = Search::default();
    if let Some(solution) = timing::solutions(case) {
        search.add(solution);
    }
    for group in groups(case, Some(case.difference), claimed) {
        search.add(of_group(case, &group));
    }
    for solution in entries::solutions(case, claimed) {
        search.add(solution);
    }
    for solution in moved.solutions {
        search.add(solution);
    }
    told_twice(&mut search);
    // Held events are found among the groups, behind the instants and before the rest.
    search.record.shown.sort_by_key(|solution| solution.class);
    let bounded = case.book.truncated || case.neighbours_truncated;
    if search.record.count + search.pattern.count > 0 {
        return settled(search, bounded);
    }
    of_subsets(case, bounded)
}

/// Of an entry that timing passes over, that class says that it is only early. Where another
/// class says by arithmetic that the same entry is wrong, both readings count.
fn told_twice(search: &mut Search) {
    let timing = search
        .record
        .shown
        .iter()
        .find(|s| s.class == Class::Timing);
    let Some(passed) = timing.map(|solution| solution.events.clone()) else {
        return;
    };
    let suspect_passed = |solution: &Solution| {
        let suspect = solution.events.last();
        suspect.is_some_and(|id| passed.contains(id))
    };
    let (rivals, beside): (Vec<_>, Vec<_>) = std::mem::take(&mut search.pattern.shown)
        .into_iter()
        .partition(suspect_passed);
    search.pattern.shown = beside;
    for rival in rivals {
        search.pattern.count -= 1;
        search.record.push(rival);
    }
}

/// The explanation where classes 1 to 6 gave something.
fn settled(search: Search, bounded: bool) -> Explanation {
    let Search { record, pattern } = search;
    let (mut counting, beside) = if record.count > 0 {
        (record, pattern.shown)
    } else {
        (pattern, Vec::new())
    };
    let count = counting.count;
    let first = counting.shown.remove(0);
    Explanation {
        class: first.class,
        basis: Some(first.basis),
        solution: Some(first),
        rivals: count - 1,
        bounded: bounded || count >= MAX_COUNTED,
        others: at_most(counting.shown),
        pattern_rivals: at_most(beside),
    }
}

fn at_most(mut solutions: Vec<Solution>) -> Vec<Solution> {
    solutions.truncate(MAX_SHOWN);
    solutions
}

/// Class 1 or 2: one fact that does not count in the balance has the amount.
fn of_group(case: &Case<'_>, group: &Group<'_>) -> Solution {
    let open = group.open();
    Solution {
        class: if open { Class::Timing } else { Class::Missing },
        basis: Basis::Record,
        events: group.event_ids(),
        lines: group.line_ids(),
        terms: vec![case.difference],
        remedy: if open { Remedy::Wait } else { group.remedy() },
        proven: group.proven(),
    }
}

/// Class 7, else 8.
fn of_subsets(case: &Case<'_>, bounded: bool) -> Explanation {
    let mut all = groups(case, None, |_| false);
    let cut = all.len().saturating_sub(subset::MAX_CANDIDATES);
    // Too many candidates: the latest are kept, for old ones were there at earlier checks.
    all.drain(..cut);
    let amounts: Vec<i128> = all.iter().map(|group| group.amount).collect();
    let found = subset::subsets(&amounts, case.difference, case.max_subset);
    let bounded = bounded || found.bounded || cut > 0;
    let solution_of = |members: &Vec<usize>| {
        let members = || members.iter().map(|&index| &all[index]);
        Solution {
            class: Class::Subset,
            basis: Basis::Pattern,
            events: members().flat_map(Group::event_ids).collect(),
            lines: members().flat_map(Group::line_ids).collect(),
            terms: members().map(|group| group.amount).collect(),
            remedy: Remedy::People,
            proven: members().all(Group::proven),
        }
    };
    let mut shown: Vec<Solution> = found.shown.iter().map(solution_of).collect();
    if shown.is_empty() {
        return Explanation {
            class: Class::Unexplained,
            basis: None,
            solution: None,
            rivals: 0,
            bounded,
            others: Vec::new(),
            pattern_rivals: Vec::new(),
        };
    }
    let first = shown.remove(0);
    Explanation {
        class: first.class,
        basis: Some(first.basis),
        solution: Some(first),
        rivals: found.count - 1,
        bounded,
        others: at_most(shown),
        pattern_rivals: Vec::new(),
    }
}
