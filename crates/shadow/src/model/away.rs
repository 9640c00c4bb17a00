//! Books of which only a part is in memory: a block whose slots stay in the tables is known by
//! its outline and its sums, which is all that a decision elsewhere asks of it.
//!
//! **Invariants.** A block that is away has no open slot; the last block is never away. What a
//! decision touches ([`Book::missing`]) is brought before it is made.

use super::block::{Block, Slot, Sums};
use super::book::{Book, Overflow};
use super::event::{Key, State};

/// What is known of the slots of a block that is away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outline {
    /// Key of its first slot.
    pub first: Key,
    /// Key of its last slot.
    pub last: Key,
    /// How many slots it has.
    pub events: usize,
    /// How many of them are applied.
    pub applied: usize,
    /// Sum of the amounts without sign, minor units.
    pub gross: i128,
    /// Key of its last applied slot.
    pub last_applied: Option<Key>,
}

impl Block {
    /// A block whose slots stay in the tables.
    pub fn away(number: i64, outline: Outline, counted: Sums) -> Self {
        Self {
            number,
            slots: Vec::new(),
            away: Some(outline),
            counted,
            settled: counted,
            dirty: false,
        }
    }

    /// Whether its slots are not in memory.
    pub const fn is_away(&self) -> bool {
        self.away.is_some()
    }

    /// What there is to know of it without its slots; `None` for an empty one.
    pub fn outline(&self) -> Option<Outline> {
        if let Some(outline) = &self.away {
            return Some(outline.clone());
        }
        let (first, last) = (self.slots.first()?, self.slots.last()?);
        let applied = |slot: &&Slot| slot.state == State::Applied;
        Some(Outline {
            first: first.key.clone(),
            last: last.key.clone(),
            events: self.slots.len(),
            applied: self.slots.iter().filter(applied).count(),
            gross: self.slots.iter().map(|slot| slot.signed.abs()).sum(),
            last_applied: self.slots.iter().rev().find(applied).map(|s| s.key.clone()),
        })
    }

    /// Whether a slot in it is open.
    pub fn is_open(&self) -> bool {
        self.slots.iter().any(|slot| !slot.is_final)
    }

    /// Key of the last slot.
    pub(super) fn last_key(&self) -> Option<&Key> {
        match &self.away {
            Some(outline) => Some(&outline.last),
            None => self.slots.last().map(|slot| &slot.key),
        }
    }

    fn last_applied(&self) -> Option<&Key> {
        match &self.away {
            Some(outline) => outline.last_applied.as_ref(),
            None => {
                let mut slots = self.slots.iter().rev();
                let found = slots.find(|slot| slot.state == State::Applied);
                found.map(|slot| &slot.key)
            }
        }
    }
}

/// A part of a book behind a key: a slot, or a whole block that is away.
#[derive(Debug, Clone, Copy)]
pub(super) enum Step {
    /// A slot in memory.
    Slot(super::book::Place),
    /// Final slots in the tables, by their sums.
    Run(Sums),
}

impl Book {
    /// Puts a block behind all others whose slots stay in the tables.
    ///
    /// # Errors
    /// [`Overflow`]; the book is unchanged then.
    pub fn put_away(&mut self, block: Block) -> Result<(), Overflow> {
        let Some(outline) = &block.away else {
            return Ok(());
        };
        self.gross = self.gross.checked_add(outline.gross).ok_or(Overflow)?;
        self.events += outline.events;
        self.applied += outline.applied;
        self.next_block = self.next_block.max(block.number + 1);
        self.blocks.push(block);
        Ok(())
    }

    /// Brings the slots of a block that is away. False, with nothing changed: they are not the
    /// ones that its outline and its sums tell of.
    pub fn bring(&mut self, at: usize, slots: Vec<Slot>) -> bool {
        let block = &self.blocks[at];
        let mut brought = Block::new(block.number);
        brought.slots = slots;
        brought.sum_up();
        brought.dirty = false;
        if brought.outline() != block.away || brought.counted != block.counted {
            return false;
        }
        for slot in brought.slots.iter().filter(|slot| !slot.is_final) {
            let deadline = slot.deadline.unwrap_or(i64::MAX);
            self.open.insert((deadline, slot.key.clone()));
            self.held_open += usize::from(slot.state == State::Held);
        }
        self.present += brought.slots.len();
        self.blocks[at] = brought;
        true
    }

    /// Slots in memory.
    pub const fn present(&self) -> usize {
        self.present
    }

    /// The blocks, by their place, whose slots must be brought before these keys are looked up,
    /// put in or decided upon; ascending.
    pub fn missing<'a>(&self, keys: impl Iterator<Item = &'a Key>) -> Vec<usize> {
        if self.present == self.events {
            return Vec::new();
        }
        let mut missing: Vec<usize> = keys
            .map(|key| self.block_of(key))
            .filter(|&at| self.blocks[at].is_away())
            .collect();
        missing.sort_unstable();
        missing.dedup();
        missing
    }

    /// The key of the last applied slot.
    pub fn last_entry(&self) -> Option<&Key> {
        self.blocks.iter().rev().find_map(Block::last_applied)
    }

    /// The lowest running balance of all positions, open entries included; `None` without
    /// events.
    pub fn lowest(&self) -> Option<i128> {
        let (mut sum, mut low) = (0, None);
        for block in self.blocks.iter().filter(|b| b.counted.low != i128::MAX) {
            let here = sum + block.counted.low;
            low = Some(low.map_or(here, |low: i128| low.min(here)));
            sum += block.counted.sum;
        }
        low
    }

    /// The balance just before a key, whose block is in memory.
    pub(super) fn before_key(&self, key: &Key) -> i128 {
        if self.blocks.is_empty() {
            return 0;
        }
        let at = self.block_of(key);
        let blocks = self.blocks[..at].iter().map(|block| block.counted.sum);
        let slots = self.blocks[at].slots.iter();
        let slots = slots.take_while(|slot| slot.key < *key).map(Slot::counted);
        blocks.sum::<i128>() + slots.sum::<i128>()
    }

    /// Everything from the place of a key on.
    pub(super) fn steps_from(&self, key: &Key) -> Vec<Step> {
        if self.blocks.is_empty() {
            return Vec::new();
        }
        let first = self.block_of(key);
        let mut steps = Vec::new();
        for (at, block) in self.blocks.iter().enumerate().skip(first) {
            if block.is_away() {
                steps.push(Step::Run(block.settled));
                continue;
            }
            let from = block.slots.partition_point(|slot| slot.key < *key);
            steps.extend((from..block.slots.len()).map(|index| Step::Slot(Self::place(at, index))));
        }
        steps
    }
}
