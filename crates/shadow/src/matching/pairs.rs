//! R1 and R2: one line and one entry.

use hashbrown::HashMap;

use super::item::{Item, Rule, Set, Side};
use super::state::{Proposal, State};
use super::{CANDIDATES_SHOWN, R1_DAYS, R2_DAYS};

/// Items of both sides that could be pairs, each list in the order of day and id.
#[derive(Debug, Default)]
struct Bucket {
    lines: Vec<u32>,
    entries: Vec<u32>,
}

/// A component of items that are linked by possible pairs.
struct Components {
    parent: Vec<u32>,
}

impl Components {
    fn new(count: usize) -> Self {
        Self {
            parent: (0..count as u32).collect(),
        }
    }

    fn root(&mut self, mut at: u32) -> u32 {
        while self.parent[at as usize] != at {
            let above = self.parent[self.parent[at as usize] as usize];
            self.parent[at as usize] = above;
            at = above;
        }
        at
    }

    fn join(&mut self, a: u32, b: u32) {
        let (a, b) = (self.root(a), self.root(b));
        let (low, high) = (a.min(b), a.max(b));
        self.parent[high as usize] = low;
    }
}

/// For each item of `from` the range of `to` within `days`; both are in the order of day.
fn windows(
    from: &[u32],
    from_items: &[Item],
    to: &[u32],
    to_items: &[Item],
    days: i32,
) -> Vec<(usize, usize)> {
    let (mut low, mut high) = (0, 0);
    from.iter()
        .map(|index| {
            let day = from_items[*index as usize].day;
            let at = |place: usize| to_items[to[place] as usize].day;
            while low < to.len() && at(low) < day.saturating_sub(days) {
                low += 1;
            }
            high = high.max(low);
            while high < to.len() && at(high) <= day.saturating_add(days) {
                high += 1;
            }
            (low, high)
        })
        .collect()
}

/// R1: same reference and amount, at most 30 days apart.
pub(super) fn by_reference(state: &mut State<'_>, lines: &[u32], entries: &[u32]) {
    let (line_items, entry_items) = (state.items(Side::Line), state.items(Side::Entry));
    let mut buckets: HashMap<(&str, i128), Bucket> = HashMap::new();
    for index in lines {
        let item = &line_items[*index as usize];
        for reference in &item.references {
            let bucket = buckets.entry((reference, item.amount)).or_default();
            bucket.lines.push(*index);
        }
    }
    for index in entries {
        let item = &entry_items[*index as usize];
        for reference in &item.references {
            if let Some(bucket) = buckets.get_mut(&(&**reference, item.amount)) {
                bucket.entries.push(*index);
            }
        }
    }
    let shift = line_items.len() as u32;
    let mut components = Components::new(line_items.len() + entry_items.len());
    let mut linked = vec![false; line_items.len() + entry_items.len()];
    for bucket in buckets.values() {
        let mut reached = 0;
        let ranges = windows(
            &bucket.entries,
            entry_items,
            &bucket.lines,
            line_items,
            R1_DAYS,
        );
        for (entry, (low, high)) in bucket.entries.iter().zip(ranges) {
            if low == high {
                continue;
            }
            linked[(shift + entry) as usize] = true;
            components.join(shift + entry, bucket.lines[low]);
            // Lines that an entry reaches hang together; those before `reached` already do.
            for place in low.max(reached)..high {
                components.join(bucket.lines[low], bucket.lines[place]);
                linked[bucket.lines[place] as usize] = true;
            }
            linked[bucket.lines[low] as usize] = true;
            reached = high;
        }
    }
    let mut groups: HashMap<u32, Bucket> = HashMap::new();
    for index in lines.iter().filter(|index| linked[**index as usize]) {
        groups
            .entry(components.root(*index))
            .or_default()
            .lines
            .push(*index);
    }
    for index in entries
        .iter()
        .filter(|index| linked[(shift + **index) as usize])
    {
        groups
            .entry(components.root(shift + index))
            .or_default()
            .entries
            .push(*index);
    }
    let mut proposals: Vec<Proposal> = Vec::new();
    for group in groups.values() {
        match proposed(group, line_items, entry_items) {
            Some(pairs) => proposals.extend(pairs),
            None => rival_pairs(state, group),
        }
    }
    state.take(Rule::R1, proposals);
}

/// One and one, or k equal lines and k equal entries.
fn proposed(group: &Bucket, lines: &[Item], entries: &[Item]) -> Option<Vec<Proposal>> {
    let count = group.lines.len();
    if count != group.entries.len() {
        return None;
    }
    let equal = |items: &[Item], indexes: &[u32]| {
        let first = &items[indexes[0] as usize];
        indexes.iter().all(|index| {
            let item = &items[*index as usize];
            (item.day, item.amount, &item.references)
                == (first.day, first.amount, &first.references)
        })
    };
    if count > 1 && !(equal(lines, &group.lines) && equal(entries, &group.entries)) {
        return None;
    }
    let pairs = group.lines.iter().zip(&group.entries);
    let proposal = |(line, entry): (&u32, &u32)| Proposal {
        set: Set::pair(*line, *entry),
        interchangeable: count > 1,
    };
    Some(pairs.map(proposal).collect())
}

fn share_reference(a: &Item, b: &Item) -> bool {
    a.references
        .iter()
        .any(|reference| b.references.binary_search(reference).is_ok())
}

/// Each item of a group that cannot be told apart gets the pairs it could be in.
fn rival_pairs(state: &mut State<'_>, group: &Bucket) {
    let (lines, entries) = (state.items(Side::Line), state.items(Side::Entry));
    let fits = |line: u32, entry: u32| {
        let (line, entry) = (&lines[line as usize], &entries[entry as usize]);
        line.amount == entry.amount
            && line.day.abs_diff(entry.day) <= R1_DAYS.unsigned_abs()
            && share_reference(line, entry)
    };
    for line in &group.lines {
        let near = group.entries.iter().filter(|entry| fits(*line, **entry));
        let pairs = near.map(|entry| Set::pair(*line, *entry));
        let (shown, count) = first_of(pairs, group.entries.len());
        state.rivals(Side::Line, *line, shown, count);
    }
    for entry in &group.entries {
        let near = group.lines.iter().filter(|line| fits(**line, *entry));
        let pairs = near.map(|line| Set::pair(*line, *entry));
        let (shown, count) = first_of(pairs, group.lines.len());
        state.rivals(Side::Entry, *entry, shown, count);
    }
}

/// The first sets, and how many there are; groups too large to be counted through count as all.
fn first_of(sets: impl Iterator<Item = Set>, size: usize) -> (Vec<Set>, u64) {
    const COUNTED_MAX: usize = 1_000;
    if size > COUNTED_MAX {
        let shown: Vec<Set> = sets.take(CANDIDATES_SHOWN).collect();
        return (shown, size as u64);
    }
    let mut shown: Vec<Set> = sets.collect();
    let count = shown.len() as u64;
    shown.truncate(CANDIDATES_SHOWN);
    (shown, count)
}

/// Open items by reference: how many carry it, and one of them.
struct Carriers<'i>(HashMap<&'i str, (u32, u32)>);

impl<'i> Carriers<'i> {
    fn new(state: &State<'i>, side: Side) -> Self {
        let mut found: HashMap<&str, (u32, u32)> = HashMap::new();
        for (index, item) in state.items(side).iter().enumerate() {
            let index = index as u32;
            if !state.is_open(side, index) {
                continue;
            }
            for reference in &item.references {
                found.entry(reference).or_insert((0, index)).0 += 1;
            }
        }
        Self(found)
    }

    /// Another item than `but` carries one of these references.
    fn other_than(&self, but: u32, references: &[Box<str>]) -> bool {
        references
            .iter()
            .any(|reference| match self.0.get(&**reference) {
                Some((1, index)) => *index != but,
                Some(_) => true,
                None => false,
            })
    }
}

/// R2: same amount, at most 3 days apart, each the other's only candidate.
pub(super) fn by_amount(state: &mut State<'_>, lines: &[u32], entries: &[u32]) {
    let (line_items, entry_items) = (state.items(Side::Line), state.items(Side::Entry));
    let mut buckets: HashMap<i128, Bucket> = HashMap::new();
    for index in lines {
        let amount = line_items[*index as usize].amount;
        buckets.entry(amount).or_default().lines.push(*index);
    }
    for index in entries {
        if let Some(bucket) = buckets.get_mut(&entry_items[*index as usize].amount) {
            bucket.entries.push(*index);
        }
    }
    let line_carriers = Carriers::new(state, Side::Line);
    let entry_carriers = Carriers::new(state, Side::Entry);
    let mut proposals: Vec<Proposal> = Vec::new();
    for bucket in buckets.values() {
        let of_lines = windows(
            &bucket.lines,
            line_items,
            &bucket.entries,
            entry_items,
            R2_DAYS,
        );
        let of_entries = windows(
            &bucket.entries,
            entry_items,
            &bucket.lines,
            line_items,
            R2_DAYS,
        );
        for (line, (low, high)) in bucket.lines.iter().zip(&of_lines) {
            let only = high - low == 1 && {
                let (back_low, back_high) = of_entries[*low];
                back_high - back_low == 1
            };
            if only {
                let entry = bucket.entries[*low];
                let line_refs = &line_items[*line as usize].references;
                let entry_refs = &entry_items[entry as usize].references;
                let elsewhere = entry_carriers.other_than(entry, line_refs)
                    || line_carriers.other_than(*line, entry_refs);
                if !elsewhere {
                    proposals.push(Set::pair(*line, entry).into());
                }
                continue;
            }
            let near = bucket.entries[*low..*high].iter();
            let shown = near
                .take(CANDIDATES_SHOWN)
                .map(|entry| Set::pair(*line, *entry))
                .collect();
            note(state, Side::Line, *line, shown, high - low);
        }
        for (entry, (low, high)) in bucket.entries.iter().zip(&of_entries) {
            let only = high - low == 1 && {
                let (back_low, back_high) = of_lines[*low];
                back_high - back_low == 1
            };
            if only {
                continue;
            }
            let near = bucket.lines[*low..*high].iter();
            let shown = near
                .take(CANDIDATES_SHOWN)
                .map(|line| Set::pair(*line, *entry))
                .collect();
            note(state, Side::Entry, *entry, shown, high - low);
        }
    }
    state.take(Rule::R2, proposals);
}

fn note(state: &mut State<'_>, side: Side, index: u32, shown: Vec<Set>, count: usize) {
    if count > 0 {
        state.rivals(side, index, shown, count as u64);
    }
}
