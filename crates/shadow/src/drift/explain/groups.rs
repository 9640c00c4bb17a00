//! Records that do not count in the balance: unapplied events and open statement lines. Those
//! that share a reference and an amount speak of one fact and are one.

use std::collections::HashMap;

use super::facts::{Case, LineFact, Unapplied, UnappliedFact, normal};
use super::solution::{MAX_EVIDENCE, Remedy};

/// One fact, told by one or more records.
#[derive(Debug, Clone, Default)]
pub(super) struct Group<'a> {
    pub amount: i128,
    /// Time of its first record, which orders groups.
    pub at: i64,
    pub events: Vec<&'a UnappliedFact>,
    pub lines: Vec<&'a LineFact>,
}

impl Group<'_> {
    /// An event that is only not yet decided.
    pub fn open(&self) -> bool {
        self.events
            .iter()
            .any(|event| event.state == Unapplied::Held)
    }

    pub fn event_ids(&self) -> Vec<String> {
        let ids = self.events.iter().map(|event| event.id.clone());
        ids.take(MAX_EVIDENCE).collect()
    }

    pub fn line_ids(&self) -> Vec<String> {
        let ids = self.lines.iter().map(|line| line.id.clone());
        ids.take(MAX_EVIDENCE).collect()
    }

    pub fn proven(&self) -> bool {
        self.lines.iter().all(|line| line.proven)
    }

    /// A decided event is redriven; else an entry follows the line, else the dead letter.
    pub fn remedy(&self) -> Remedy {
        let decided = |event: &&&UnappliedFact| {
            matches!(event.state, Unapplied::Rejected | Unapplied::Review)
        };
        if let Some(event) = self.events.iter().find(decided) {
            return Remedy::Redrive {
                event_id: event.id.clone(),
                amount: event.amount,
                at: event.at,
            };
        }
        let line = self.lines.first();
        let at = match (line, self.events.first()) {
            (Some(line), _) => line.at,
            (None, Some(event)) => event.at,
            (None, None) => self.at,
        };
        Remedy::Entry {
            amount: self.amount,
            at,
            cause: None,
            line: line.map(|line| line.id.clone()),
        }
    }
}

/// All groups within the look-back, by time and first id; lines for which `claimed` answers true
/// belong to another class. `wanted` narrows to one amount.
pub(super) fn groups<'a>(
    case: &Case<'a>,
    wanted: Option<i128>,
    claimed: impl Fn(&str) -> bool,
) -> Vec<Group<'a>> {
    let fits = |at: i64, amount: i128| case.within(at) && wanted.is_none_or(|w| w == amount);
    let mut all = Joined::default();
    for event in &case.book.unapplied {
        if fits(event.at, event.amount) {
            let references = event.reference.iter().filter_map(|text| normal(text));
            let group = all.place(event.amount, event.at, references.collect());
            group.events.push(event);
        }
    }
    for line in &case.book.lines {
        if line.open && fits(line.at, line.amount) && !claimed(&line.id) {
            let references = line.references.iter().filter_map(|text| normal(text));
            let group = all.place(line.amount, line.at, references.collect());
            group.lines.push(line);
        }
    }
    let mut groups: Vec<_> = all.groups.into_iter().flatten().collect();
    groups.sort_by(|a, b| (a.at, first_id(a)).cmp(&(b.at, first_id(b))));
    groups
}

fn first_id<'a>(group: &Group<'a>) -> Option<&'a str> {
    let event = group.events.first().map(|event| event.id.as_str());
    event.or_else(|| group.lines.first().map(|line| line.id.as_str()))
}

/// Groups under way. A record whose references meet two groups joins them.
#[derive(Default)]
struct Joined<'a> {
    groups: Vec<Option<Group<'a>>>,
    by_reference: HashMap<(i128, String), usize>,
}

impl<'a> Joined<'a> {
    fn place(&mut self, amount: i128, at: i64, references: Vec<String>) -> &mut Group<'a> {
        let known = |name: &String| self.by_reference.get(&(amount, name.clone())).copied();
        let mut met: Vec<usize> = references.iter().filter_map(known).collect();
        met.sort_unstable();
        met.dedup();
        let place = match met.first() {
            Some(first) => *first,
            None => {
                self.groups.push(None);
                self.groups.len() - 1
            }
        };
        let mut group = self.groups[place].take().unwrap_or(Group {
            amount,
            at,
            ..Group::default()
        });
        for other in met.into_iter().skip(1) {
            if let Some(more) = self.groups[other].take() {
                group.at = group.at.min(more.at);
                group.events.extend(more.events);
                group.lines.extend(more.lines);
            }
            for home in self.by_reference.values_mut() {
                if *home == other {
                    *home = place;
                }
            }
        }
        group.at = group.at.min(at);
        for name in references {
            self.by_reference.insert((amount, name), place);
        }
        self.groups[place].insert(group)
    }
}
