//! Class 6: one entry stands in the wrong book of two.

use super::facts::{BookFacts, Case, EntryFact, LineFact, Neighbour, Sameness, compare};
use super::solution::{Basis, Class, MAX_EVIDENCE, Remedy, Solution};

/// What was found, and which lines of this book it claims: they are evidence of nothing else.
#[derive(Debug, Default)]
pub(super) struct Moved {
    pub solutions: Vec<Solution>,
    pub claimed: Vec<String>,
}

/// By neighbour; within one, entries of the neighbour before our own, in key order.
pub(super) fn solutions(case: &Case<'_>) -> Moved {
    let mut moved = Moved::default();
    let Some(opposite) = case.difference.checked_neg() else {
        return moved;
    };
    for neighbour in case.neighbours {
        let theirs = suspects(case, neighbour.facts, case.difference);
        for entry in theirs {
            let lines = confirming(case, case.book, entry);
            moved
                .claimed
                .extend(lines.iter().map(|line| line.id.clone()));
            moved
                .solutions
                .push(solution(case, neighbour, entry, &lines, true));
        }
        for entry in suspects(case, case.book, opposite) {
            let lines = confirming(case, neighbour.facts, entry);
            moved
                .solutions
                .push(solution(case, neighbour, entry, &lines, false));
        }
    }
    moved
}

/// Entries of a book that have this amount and are not yet repaired.
fn suspects<'a>(
    case: &Case<'_>,
    facts: &'a BookFacts,
    amount: i128,
) -> impl Iterator<Item = &'a EntryFact> {
    let case = *case;
    let fits =
        move |entry: &&EntryFact| entry.amount == amount && !entry.settled && case.within(entry.at);
    facts.entries.iter().filter(fits)
}

/// Open lines of the right book with the entry's amount and no other reference than its own.
fn confirming<'a>(case: &Case<'_>, right: &'a BookFacts, entry: &EntryFact) -> Vec<&'a LineFact> {
    let confirms = |line: &&LineFact| {
        line.open
            && line.amount == entry.amount
            && case.within(line.at)
            && compare(entry.reference.as_deref(), &line.references) != Sameness::Different
    };
    let lines = right.lines.iter().filter(confirms);
    lines.take(MAX_EVIDENCE).collect()
}

fn solution(
    case: &Case<'_>,
    neighbour: &Neighbour<'_>,
    entry: &EntryFact,
    lines: &[&LineFact],
    in_other: bool,
) -> Solution {
    Solution {
        class: Class::WrongAccount,
        basis: if lines.is_empty() {
            Basis::Pattern
        } else {
            Basis::Record
        },
        events: vec![entry.id.clone()],
        lines: lines.iter().map(|line| line.id.clone()).collect(),
        terms: vec![case.difference],
        remedy: Remedy::Pair {
            amount: case.difference,
            other: neighbour.account.to_owned(),
            at: entry.at,
            cause: entry.id.clone(),
            cause_in_other: in_other,
        },
        proven: lines.iter().all(|line| line.proven),
    }
}
