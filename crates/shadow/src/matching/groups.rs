//! R3: one item is the sum of all open items of the other side that carry one reference.

use std::collections::BTreeMap;

use super::item::{Rule, Set, Side};
use super::state::{Proposal, State};

#[derive(Default)]
struct Carriers {
    lines: Vec<u32>,
    entries: Vec<u32>,
}

/// Runs the stage.
pub(super) fn by_reference(state: &mut State<'_>) {
    let mut carriers: BTreeMap<&str, Carriers> = BTreeMap::new();
    for side in [Side::Line, Side::Entry] {
        for (index, item) in state.items(side).iter().enumerate() {
            let index = index as u32;
            // All open items count, also those that the stage may not take.
            if !state.is_open(side, index) {
                continue;
            }
            for reference in &item.references {
                let found = carriers.entry(reference).or_default();
                match side {
                    Side::Line => found.lines.push(index),
                    Side::Entry => found.entries.push(index),
                }
            }
        }
    }
    let mut sets: Vec<Set> = Vec::new();
    for found in carriers.values() {
        let (side, one, many) = match (&found.lines[..], &found.entries[..]) {
            ([line], entries) if entries.len() > 1 => (Side::Line, *line, entries),
            (lines, [entry]) if lines.len() > 1 => (Side::Entry, *entry, lines),
            _ => continue,
        };
        let items = state.items(side.other());
        let sum = many.iter().try_fold(0_i128, |sum, index| {
            sum.checked_add(items[*index as usize].amount)
        });
        let free = state.is_free(side, one)
            && many.iter().all(|index| state.is_free(side.other(), *index));
        if free && sum == Some(state.items(side)[one as usize].amount) {
            let mut many = many.to_vec();
            many.sort_unstable();
            sets.push(Set::one_to_many(side, one, many));
        }
    }
    // Two references may name the same group.
    sets.sort_unstable();
    sets.dedup();
    let proposals: Vec<Proposal> = sets.into_iter().map(Proposal::from).collect();
    state.take(Rule::R3, proposals);
}
