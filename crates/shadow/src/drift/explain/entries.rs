//! Classes 3 to 5: an entry taken twice, with the wrong sign, or with the wrong amount.

use std::collections::HashMap;

use super::digits::transposed;
use super::facts::{Case, EntryFact, LineFact, Sameness, compare_two, normal};
use super::solution::{Basis, Class, MAX_EVIDENCE, Remedy, Solution};

/// Two records of one payment lie at most so far apart, in milliseconds.
const DUPLICATE_MS: i64 = 600_000;
/// Most entries before a suspect that are compared with it.
const MAX_PARTNERS: usize = 10_000;

/// Lines by reference.
type ByReference<'a> = HashMap<String, Vec<&'a LineFact>>;

/// Duplicates, then wrong signs, then wrong amounts, each in key order.
pub(super) fn solutions(case: &Case<'_>, claimed: impl Fn(&str) -> bool) -> Vec<Solution> {
    let lines = by_reference(case);
    let entries = || {
        let suspects = case.book.entries.iter().enumerate();
        suspects.filter(|(_, entry)| case.within(entry.at) && !entry.settled)
    };
    let mut all: Vec<Solution> = entries()
        .filter_map(|(index, entry)| duplicate(case, index, entry))
        .collect();
    all.extend(entries().filter_map(|(_, entry)| wrong_sign(case, entry, &lines)));
    all.extend(entries().filter_map(|(_, entry)| wrong_amount(case, entry, &lines, &claimed)));
    all
}

fn by_reference<'a>(case: &Case<'a>) -> ByReference<'a> {
    let mut lines: ByReference<'a> = HashMap::new();
    for line in &case.book.lines {
        if case.within(line.at) {
            for name in line.references.iter().filter_map(|text| normal(text)) {
                lines.entry(name).or_default().push(line);
            }
        }
    }
    lines
}

fn with_reference<'a, 'b>(lines: &'b ByReference<'a>, entry: &EntryFact) -> &'b [&'a LineFact] {
    let name = entry.reference.as_deref().and_then(normal);
    name.and_then(|name| lines.get(&name))
        .map_or(&[], Vec::as_slice)
}

/// An entry of our own that brings the whole difference at the time of the entry it repairs.
fn entry_remedy(case: &Case<'_>, entry: &EntryFact) -> Remedy {
    Remedy::Entry {
        amount: case.difference,
        at: entry.at,
        cause: Some(entry.id.clone()),
        line: None,
    }
}

fn duplicate(case: &Case<'_>, index: usize, later: &EntryFact) -> Option<Solution> {
    if later.amount.checked_neg() != Some(case.difference) {
        return None;
    }
    let before = case.book.entries[..index].iter().rev();
    let near = before
        .take_while(|earlier| earlier.at >= later.at.saturating_sub(DUPLICATE_MS))
        .take(MAX_PARTNERS)
        .filter(|earlier| earlier.amount == later.amount && !earlier.settled);
    let mut partner: Option<(&EntryFact, Basis)> = None;
    for earlier in near {
        match compare_two(earlier.reference.as_deref(), later.reference.as_deref()) {
            Sameness::Equal => {
                partner = Some((earlier, Basis::Record));
                break;
            }
            Sameness::Unknown => partner = partner.or(Some((earlier, Basis::Pattern))),
            Sameness::Different => {}
        }
    }
    let (earlier, basis) = partner?;
    Some(Solution {
        class: Class::Duplicate,
        basis,
        events: vec![earlier.id.clone(), later.id.clone()],
        lines: Vec::new(),
        terms: vec![case.difference],
        remedy: entry_remedy(case, later),
        proven: true,
    })
}

fn wrong_sign(case: &Case<'_>, entry: &EntryFact, lines: &ByReference<'_>) -> Option<Solution> {
    if entry.amount.checked_mul(-2) != Some(case.difference) {
        return None;
    }
    let confirms = |line: &&&LineFact| line.amount == -entry.amount;
    let line = with_reference(lines, entry).iter().find(confirms);
    Some(Solution {
        class: Class::WrongSign,
        basis: basis_of(line.is_some()),
        events: vec![entry.id.clone()],
        lines: line.iter().map(|line| line.id.clone()).collect(),
        terms: vec![case.difference],
        remedy: entry_remedy(case, entry),
        proven: line.is_none_or(|line| line.proven),
    })
}

fn wrong_amount(
    case: &Case<'_>,
    entry: &EntryFact,
    lines: &ByReference<'_>,
    claimed: &impl Fn(&str) -> bool,
) -> Option<Solution> {
    let right = entry.amount.checked_add(case.difference)?;
    if right.signum() != entry.amount.signum() {
        return None;
    }
    let swapped = transposed(entry.amount.unsigned_abs(), right.unsigned_abs());
    let confirms = |line: &&&LineFact| line.open && line.amount == right && !claimed(&line.id);
    let confirming: Vec<&LineFact> = with_reference(lines, entry)
        .iter()
        .filter(confirms)
        .take(MAX_EVIDENCE)
        .copied()
        .collect();
    if confirming.is_empty() && !swapped {
        return None;
    }
    Some(Solution {
        class: if swapped {
            Class::TransposedDigits
        } else {
            Class::WrongAmount
        },
        basis: basis_of(!confirming.is_empty()),
        events: vec![entry.id.clone()],
        lines: confirming.iter().map(|line| line.id.clone()).collect(),
        terms: vec![case.difference],
        remedy: entry_remedy(case, entry),
        proven: confirming.iter().all(|line| line.proven),
    })
}

fn basis_of(confirmed: bool) -> Basis {
    if confirmed {
        Basis::Record
    } else {
        Basis::Pattern
    }
}
