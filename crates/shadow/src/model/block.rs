//! Runs of events with checkpointed sums and running minima.

use super::away::Outline;
use super::event::{Key, Reason, State};

/// One event at its place in a book.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slot {
    /// Its place.
    pub key: Key,
    /// Minor units with the sign of the balance.
    pub signed: i128,
    /// What became of it.
    pub state: State,
    /// Only a redrive or a reject can change the state.
    pub is_final: bool,
    /// Why it is not applied.
    pub reason: Option<Reason>,
    /// When it becomes final, microseconds since the epoch; kept after that.
    pub deadline: Option<i64>,
    /// A correction of ours.
    pub correction: bool,
    /// Log record that brought it.
    pub log_seq: i64,
}

impl Slot {
    /// What it adds to the balance as it stands.
    pub fn counted(&self) -> i128 {
        match self.state {
            State::Applied => self.signed,
            _ => 0,
        }
    }

    /// What it adds to decided history: open debits count nothing.
    pub(super) fn settled(&self) -> i128 {
        match self.is_final {
            true => self.counted(),
            false => 0,
        }
    }
}

/// Sum and lowest prefix of a run of slots.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sums {
    /// Sum.
    pub sum: i128,
    /// Lowest sum after any slot; `i128::MAX` for none.
    pub low: i128,
}

impl Sums {
    pub(super) const NONE: Self = Self {
        sum: 0,
        low: i128::MAX,
    };

    pub(super) fn push(&mut self, value: i128) {
        self.sum += value;
        self.low = self.low.min(self.sum);
    }
}

/// A run of slots with their aggregates.
#[derive(Debug, Clone)]
pub struct Block {
    /// Number within the book; stays when the block is cut, the new half gets a new one.
    pub number: i64,
    /// The slots; none while they are away.
    pub slots: Vec<Slot>,
    pub(super) away: Option<Outline>,
    /// Over what counts in the balance.
    pub counted: Sums,
    /// Over decided history.
    pub settled: Sums,
    /// Changed since it was last stored.
    pub dirty: bool,
}

impl Block {
    pub(super) fn new(number: i64) -> Self {
        Self {
            number,
            slots: Vec::new(),
            away: None,
            counted: Sums::NONE,
            settled: Sums::NONE,
            dirty: true,
        }
    }

    pub(super) fn sum_up(&mut self) {
        let (mut counted, mut settled) = (Sums::NONE, Sums::NONE);
        for slot in &self.slots {
            counted.push(slot.counted());
            settled.push(slot.settled());
        }
        (self.counted, self.settled) = (counted, settled);
        self.dirty = true;
    }
}
