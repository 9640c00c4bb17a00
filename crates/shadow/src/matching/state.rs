//! What a run knows while its stages go by.

use hashbrown::HashMap;

use super::CANDIDATES_SHOWN;
use super::item::{Ambiguous, Input, Item, Match, Rule, Set, Side};

/// Per side, what became of each item so far.
#[derive(Debug, Default)]
struct Marks {
    matched: Vec<bool>,
    /// Rivals were found: later stages leave it alone.
    frozen: Vec<bool>,
    bounded: Vec<bool>,
    rivals: HashMap<u32, Ambiguous>,
}

impl Marks {
    fn new(items: &[Item]) -> Self {
        Self {
            matched: vec![false; items.len()],
            frozen: items.iter().map(|item| item.barred).collect(),
            bounded: vec![false; items.len()],
            rivals: HashMap::new(),
        }
    }
}

/// The run itself.
#[derive(Debug)]
pub(super) struct State<'i> {
    pub(super) input: &'i Input,
    lines: Marks,
    entries: Marks,
    pub(super) matches: Vec<Match>,
}

/// What a stage proposes.
#[derive(Debug)]
pub(super) struct Proposal {
    pub(super) set: Set,
    pub(super) interchangeable: bool,
}

impl From<Set> for Proposal {
    fn from(set: Set) -> Self {
        Self {
            set,
            interchangeable: false,
        }
    }
}

impl<'i> State<'i> {
    pub(super) fn new(input: &'i Input) -> Self {
        Self {
            input,
            lines: Marks::new(&input.lines),
            entries: Marks::new(&input.entries),
            matches: Vec::new(),
        }
    }

    fn marks(&self, side: Side) -> &Marks {
        match side {
            Side::Line => &self.lines,
            Side::Entry => &self.entries,
        }
    }

    fn marks_mut(&mut self, side: Side) -> &mut Marks {
        match side {
            Side::Line => &mut self.lines,
            Side::Entry => &mut self.entries,
        }
    }

    /// The input, for longer than a look at the state.
    pub(super) fn items(&self, side: Side) -> &'i [Item] {
        let input: &'i Input = self.input;
        input.side(side)
    }

    /// Not matched yet; it may be frozen.
    pub(super) fn is_open(&self, side: Side, index: u32) -> bool {
        !self.marks(side).matched[index as usize]
    }

    /// Open, and a stage may take it.
    pub(super) fn is_free(&self, side: Side, index: u32) -> bool {
        let marks = self.marks(side);
        !marks.matched[index as usize] && !marks.frozen[index as usize]
    }

    /// The indexes a stage may take, in the order of day and id.
    pub(super) fn free(&self, side: Side, order: &[u32]) -> Vec<u32> {
        let free = |index: &u32| self.is_free(side, *index);
        order.iter().copied().filter(free).collect()
    }

    /// [`State::free`] for both sides.
    pub(super) fn free_both(&self, lines: &[u32], entries: &[u32]) -> (Vec<u32>, Vec<u32>) {
        (
            self.free(Side::Line, lines),
            self.free(Side::Entry, entries),
        )
    }

    /// A bound ended the search for this item.
    pub(super) fn bound(&mut self, side: Side, index: u32) {
        self.marks_mut(side).bounded[index as usize] = true;
    }

    pub(super) fn is_bounded(&self, side: Side, index: u32) -> bool {
        self.marks(side).bounded[index as usize]
    }

    /// Adds sets that would do for an item; `count` includes those not shown.
    pub(super) fn rivals(&mut self, side: Side, index: u32, sets: Vec<Set>, count: u64) {
        let found = self
            .marks_mut(side)
            .rivals
            .entry(index)
            .or_insert(Ambiguous {
                candidates: Vec::new(),
                count: 0,
            });
        found.count += count;
        for set in sets {
            if found.candidates.len() < CANDIDATES_SHOWN {
                found.candidates.push(set);
            }
        }
    }

    /// Items with rivals are left alone from here on.
    pub(super) fn freeze_rivals(&mut self) {
        for marks in [&mut self.lines, &mut self.entries] {
            for index in marks.rivals.keys() {
                marks.frozen[*index as usize] = true;
            }
        }
    }

    /// The rivals of an item that are still open as a whole.
    pub(super) fn open_rivals(&mut self, side: Side, index: u32) -> Option<Ambiguous> {
        let mut found = self.marks_mut(side).rivals.remove(&index)?;
        let open = |set: &Set| {
            let all = |side: Side| {
                set.side(side)
                    .iter()
                    .all(|index| self.is_open(side, *index))
            };
            all(Side::Line) && all(Side::Entry)
        };
        let shown = found.candidates.len();
        found.candidates.retain(open);
        found.count -= (shown - found.candidates.len()) as u64;
        (found.count > 0 && !found.candidates.is_empty()).then_some(found)
    }

    /// Takes the proposals that share nothing with another; the rest become rivals. No result
    /// depends on the order in which they were found.
    pub(super) fn take(&mut self, rule: Rule, proposals: Vec<Proposal>) {
        let mut uses: [HashMap<u32, u32>; 2] = [HashMap::new(), HashMap::new()];
        for proposal in &proposals {
            for (uses, side) in uses.iter_mut().zip([Side::Line, Side::Entry]) {
                for index in proposal.set.side(side) {
                    *uses.entry(*index).or_insert(0) += 1;
                }
            }
        }
        let mut rest = Vec::new();
        for proposal in proposals {
            let alone = |at: usize, side: Side| {
                proposal
                    .set
                    .side(side)
                    .iter()
                    .all(|index| uses[at][index] == 1)
            };
            if !(alone(0, Side::Line) && alone(1, Side::Entry)) {
                rest.push(proposal.set);
                continue;
            }
            for side in [Side::Line, Side::Entry] {
                for index in proposal.set.side(side) {
                    self.marks_mut(side).matched[*index as usize] = true;
                }
            }
            self.matches.push(Match {
                rule,
                set: proposal.set,
                interchangeable: proposal.interchangeable,
            });
        }
        rest.sort_unstable();
        for set in rest {
            for side in [Side::Line, Side::Entry] {
                for index in set.side(side) {
                    self.rivals(side, *index, vec![set.clone()], 1);
                }
            }
        }
    }
}
