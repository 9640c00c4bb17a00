//! A run: four stages, then the reason of everything that stays open (contract D2).
//!
//! **Invariants.** The result does not depend on the order of the input: every stage looks at
//! items by day and id, collects all its proposals, and takes those that share nothing with
//! another. An item is in at most one match; each match sums to zero difference (INV-S21).

use hashbrown::HashMap;

use super::item::{Input, Item, Open, Outcome, Reason, Side};
use super::state::State;
use super::{R1_DAYS, R2_DAYS, groups, pairs, sums};

/// Matches what is open. Sorts the input by day and id first: the indexes of the outcome name
/// places in the sorted lists. `rules` says which of R1 to R4 run; `stages` is told when each is
/// done.
pub fn run(input: &mut Input, rules: [bool; 4], stages: &mut dyn FnMut(&'static str)) -> Outcome {
    for items in [&mut input.lines, &mut input.entries, &mut input.unapplied] {
        items.sort_unstable_by(|a, b| (a.day, &a.id).cmp(&(b.day, &b.id)));
    }
    let input = &*input;
    let lines: Vec<u32> = (0..input.lines.len() as u32).collect();
    let entries: Vec<u32> = (0..input.entries.len() as u32).collect();
    let mut state = State::new(input);
    if rules[0] {
        let (free_lines, free_entries) = state.free_both(&lines, &entries);
        pairs::by_reference(&mut state, &free_lines, &free_entries);
    }
    state.freeze_rivals();
    stages("R1");
    if rules[1] {
        let (free_lines, free_entries) = state.free_both(&lines, &entries);
        pairs::by_amount(&mut state, &free_lines, &free_entries);
    }
    stages("R2");
    if rules[2] {
        groups::by_reference(&mut state);
    }
    state.freeze_rivals();
    stages("R3");
    if rules[3] {
        sums::by_sum(&mut state, &lines, &entries);
    }
    stages("R4");
    finish(state, &lines, &entries)
}

fn finish(mut state: State<'_>, lines: &[u32], entries: &[u32]) -> Outcome {
    let mut outcome = Outcome::default();
    let looks = [
        Looks::new(&state, Side::Line),
        Looks::new(&state, Side::Entry),
    ];
    for (side, order) in [(Side::Line, lines), (Side::Entry, entries)] {
        let mut open = Vec::new();
        let others = &looks[usize::from(side == Side::Line)];
        for index in order {
            if !state.is_open(side, *index) {
                continue;
            }
            let item = &state.items(side)[*index as usize];
            let what = match state.open_rivals(side, *index) {
                _ if item.barred => Open::Unmatched(Reason::PossibleDuplicateLine),
                Some(rivals) => Open::Ambiguous(rivals),
                None if state.is_bounded(side, *index) => Open::Unmatched(Reason::SearchBound),
                None => Open::Unmatched(others.reason(item)),
            };
            open.push((*index, what));
        }
        match side {
            Side::Line => outcome.lines = open,
            Side::Entry => outcome.entries = open,
        }
    }
    outcome.matches = std::mem::take(&mut state.matches);
    outcome.matches.sort_unstable_by(|a, b| a.set.cmp(&b.set));
    outcome
}

/// What is open on a side, by the marks by which people would look for it.
struct Looks<'i> {
    items: &'i [Item],
    by_reference: HashMap<&'i str, Vec<u32>>,
    by_amount: HashMap<i128, Vec<i32>>,
    unapplied: &'i [Item],
    unapplied_by_amount: HashMap<i128, Vec<u32>>,
}

impl<'i> Looks<'i> {
    fn new(state: &State<'i>, side: Side) -> Self {
        let items = state.items(side);
        let mut looks = Self {
            items,
            by_reference: HashMap::new(),
            by_amount: HashMap::new(),
            unapplied: match side {
                Side::Entry => &state.input.unapplied,
                Side::Line => &[],
            },
            unapplied_by_amount: HashMap::new(),
        };
        for (index, item) in items.iter().enumerate() {
            if !state.is_open(side, index as u32) {
                continue;
            }
            for reference in &item.references {
                looks
                    .by_reference
                    .entry(reference)
                    .or_default()
                    .push(index as u32);
            }
            looks
                .by_amount
                .entry(item.amount)
                .or_default()
                .push(item.day);
        }
        for days in looks.by_amount.values_mut() {
            days.sort_unstable();
        }
        for (index, item) in looks.unapplied.iter().enumerate() {
            looks
                .unapplied_by_amount
                .entry(item.amount)
                .or_default()
                .push(index as u32);
        }
        looks
    }

    /// Why `item` of the other side stays open.
    fn reason(&self, item: &Item) -> Reason {
        if self.is_unapplied(item) {
            return Reason::EntryNotApplied;
        }
        let mut found = None;
        let mut note = |reason: Reason| {
            found = Some(found.map_or(reason, |known: Reason| known.min(reason)));
        };
        for reference in &item.references {
            for index in self.by_reference.get(&**reference).into_iter().flatten() {
                let other = &self.items[*index as usize];
                if other.amount == item.amount {
                    note(Reason::OutsideWindow);
                } else if other.amount == -item.amount {
                    note(Reason::SignDiffers);
                } else {
                    note(Reason::AmountDiffers);
                }
            }
        }
        if let Some(reason) = found {
            return reason;
        }
        if self
            .nearest(item.amount, item.day)
            .is_some_and(|days| days <= R1_DAYS.unsigned_abs())
        {
            return Reason::OutsideWindow;
        }
        if self
            .nearest(-item.amount, item.day)
            .is_some_and(|days| days <= R2_DAYS.unsigned_abs())
        {
            return Reason::SignDiffers;
        }
        Reason::NoCandidate
    }

    /// Days to the nearest open item of an amount.
    fn nearest(&self, amount: i128, day: i32) -> Option<u32> {
        let days = self.by_amount.get(&amount)?;
        let at = days.partition_point(|other| *other < day);
        let before = at.checked_sub(1).map(|at| days[at]);
        let after = days.get(at).copied();
        before
            .into_iter()
            .chain(after)
            .map(|other| other.abs_diff(day))
            .min()
    }

    /// A recorded event that does not count looks like this line.
    fn is_unapplied(&self, item: &Item) -> bool {
        let near = self
            .unapplied_by_amount
            .get(&item.amount)
            .into_iter()
            .flatten();
        near.map(|index| &self.unapplied[*index as usize])
            .any(|event| {
                let shared = event
                    .references
                    .iter()
                    .any(|r| item.references.binary_search(r).is_ok());
                let days = event.day.abs_diff(item.day);
                days <= R2_DAYS.unsigned_abs() || (shared && days <= R1_DAYS.unsigned_abs())
            })
    }
}

#[cfg(test)]
#[path = "engine_tests.rs"]
mod tests;
