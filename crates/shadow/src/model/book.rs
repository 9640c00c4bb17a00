//! A book in memory: its events in key order, cut into blocks with checkpointed sums and running
//! minima, so that a balance or the running-minimum rule costs a step per block and not per
//! entry (contract A4, F1).
//!
//! **Invariants.** Slots are strictly ascending by key over all blocks; a block's aggregates are
//! those of its slots; only open debits are not final; the gross sum fits 128 bits, therefore
//! every partial sum does.

use std::collections::BTreeSet;

pub use super::block::{Block, Slot, Sums};
use super::event::{BookId, Key, Reason, State};

/// Slots at which a block is cut in two.
const BLOCK_MAX: usize = 512;

/// How debits are decided (contract A4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    /// Open for a grace, then final.
    Watermark,
    /// Decided over all events, never final.
    Derived,
    /// Final at once.
    Arrival,
}

impl Policy {
    /// Every policy.
    pub const ALL: [Self; 3] = [Self::Watermark, Self::Derived, Self::Arrival];

    /// The word in JSON and settings.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Watermark => "watermark",
            Self::Derived => "derived",
            Self::Arrival => "arrival",
        }
    }

    /// The policy of a word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|p| p.as_str() == word)
    }
}

/// What decides in a book.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// Lowest balance allowed in minor units; `None`: no floor (also of every linked book).
    pub floor: Option<i128>,
    /// How debits are decided.
    pub policy: Policy,
    /// How long an event is open, microseconds ([`Policy::Watermark`]).
    pub grace_micros: i64,
}

/// Where a slot stands: block and index in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    block: usize,
    index: usize,
}

/// What happened to a debit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Which event.
    pub key: Key,
    /// Before.
    pub from: State,
    /// Now.
    pub to: State,
    /// Final from now on.
    pub is_final: bool,
    /// Why.
    pub reason: Reason,
    /// The running balance that decided, minor units.
    pub running: i128,
}

/// How a debit stands against the floor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    /// Why it does not fit; `None` if it does.
    pub refused: Option<Reason>,
    /// The running balance that decided, minor units.
    pub running: i128,
}

/// A book with its events.
#[derive(Debug, Clone)]
pub struct Book {
    /// Number in the tables.
    pub number: i64,
    /// Which book.
    pub id: BookId,
    /// What decides.
    pub rules: Rules,
    /// Shadows an account of our own ledger.
    pub linked: bool,
    pub(super) blocks: Vec<Block>,
    pub(super) next_block: i64,
    pub(super) gross: i128,
    pub(super) open: BTreeSet<(i64, Key)>,
    pub(super) held_open: usize,
    pub(super) events: usize,
    pub(super) applied: usize,
    pub(super) present: usize,
}

/// The sums of a book would leave 128 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the book's sums would leave 128 bits")]
pub struct Overflow;

impl Book {
    /// A book without events.
    pub fn new(number: i64, id: BookId, rules: Rules) -> Self {
        Self {
            number,
            id,
            rules,
            linked: false,
            blocks: Vec::new(),
            next_block: 0,
            gross: 0,
            open: BTreeSet::new(),
            held_open: 0,
            events: 0,
            applied: 0,
            present: 0,
        }
    }

    /// Events in any state.
    pub const fn len(&self) -> usize {
        self.events
    }

    /// Applied events.
    pub const fn applied(&self) -> usize {
        self.applied
    }

    /// Whether events of this total size (minor units, without sign) may still be added.
    pub const fn has_room(&self, size: i128) -> bool {
        self.gross.checked_add(size).is_some()
    }

    /// No event was ever recorded.
    pub const fn is_empty(&self) -> bool {
        self.events == 0
    }

    /// The balance: all applied events, minor units.
    pub fn balance(&self) -> i128 {
        self.blocks.iter().map(|block| block.counted.sum).sum()
    }

    /// Debits that are not final.
    pub fn open(&self) -> usize {
        self.open.len()
    }

    /// Open debits that are held.
    pub const fn held_open(&self) -> usize {
        self.held_open
    }

    /// The latest deadline of an open event, microseconds.
    pub fn open_until(&self) -> Option<i64> {
        self.open.last().map(|(deadline, _)| *deadline)
    }

    /// The blocks, in key order.
    pub fn blocks(&self) -> &[Block] {
        &self.blocks
    }

    /// Blocks changed since this was last asked.
    pub fn take_dirty(&mut self) -> Vec<usize> {
        let mut dirty = Vec::new();
        for (at, block) in self.blocks.iter_mut().enumerate() {
            if std::mem::take(&mut block.dirty) {
                dirty.push(at);
            }
        }
        dirty
    }

    /// The slots in memory, in key order.
    pub fn slots(&self) -> impl DoubleEndedIterator<Item = &Slot> {
        self.blocks.iter().flat_map(|block| &block.slots)
    }

    /// The slot of a key.
    pub fn slot(&self, key: &Key) -> Option<&Slot> {
        let place = self.find(key)?;
        Some(self.at(place))
    }

    /// True if `key` lies behind every event.
    pub fn is_append(&self, key: &Key) -> bool {
        let last = self.blocks.last().and_then(Block::last_key);
        last.is_none_or(|last| last < key)
    }

    /// Puts a slot at its place without deciding anything. Replaces nothing: keys are unique.
    ///
    /// # Errors
    /// [`Overflow`]; the book is unchanged then.
    pub fn insert(&mut self, slot: Slot) -> Result<Place, Overflow> {
        let size = i128::try_from(slot.signed.unsigned_abs()).map_err(|_| Overflow)?;
        self.gross = self.gross.checked_add(size).ok_or(Overflow)?;
        self.events += 1;
        self.present += 1;
        self.applied += usize::from(slot.state == State::Applied);
        if !slot.is_final {
            self.open
                .insert((slot.deadline.unwrap_or(i64::MAX), slot.key.clone()));
            self.held_open += usize::from(slot.state == State::Held);
        }
        if self.is_append(&slot.key) {
            return Ok(self.append(slot));
        }
        let mut at = self.block_of(&slot.key);
        debug_assert!(!self.blocks[at].is_away(), "brought before");
        if self.blocks[at].slots.len() >= BLOCK_MAX {
            self.cut(at);
            at = self.block_of(&slot.key);
        }
        let block = &mut self.blocks[at];
        let index = block.slots.partition_point(|s| s.key < slot.key);
        block.slots.insert(index, slot);
        block.sum_up();
        Ok(Place { block: at, index })
    }

    fn append(&mut self, slot: Slot) -> Place {
        if self
            .blocks
            .last()
            .is_none_or(|b| b.is_away() || b.slots.len() >= BLOCK_MAX)
        {
            self.blocks.push(Block::new(self.next_block));
            self.next_block += 1;
        }
        let at = self.blocks.len() - 1;
        let block = &mut self.blocks[at];
        block.counted.push(slot.counted());
        block.settled.push(slot.settled());
        block.dirty = true;
        block.slots.push(slot);
        Place {
            block: at,
            index: block.slots.len() - 1,
        }
    }

    /// Undoes an insert that was not decided upon.
    pub fn remove(&mut self, key: &Key) {
        let Some(place) = self.find(key) else { return };
        let block = &mut self.blocks[place.block];
        let slot = block.slots.remove(place.index);
        block.sum_up();
        self.events -= 1;
        self.present -= 1;
        self.gross -= slot.signed.abs();
        self.applied -= usize::from(slot.state == State::Applied);
        self.forget_open(&slot);
        if self.blocks[place.block].slots.is_empty() {
            self.blocks.remove(place.block);
        }
    }

    fn forget_open(&mut self, slot: &Slot) {
        if !slot.is_final {
            self.open
                .remove(&(slot.deadline.unwrap_or(i64::MAX), slot.key.clone()));
            self.held_open -= usize::from(slot.state == State::Held);
        }
    }

    fn cut(&mut self, at: usize) {
        let half = self.blocks[at].slots.split_off(BLOCK_MAX / 2);
        self.blocks[at].sum_up();
        let mut second = Block::new(self.next_block);
        self.next_block += 1;
        second.slots = half;
        second.sum_up();
        self.blocks.insert(at + 1, second);
    }

    pub(super) const fn place(block: usize, index: usize) -> Place {
        Place { block, index }
    }

    /// The block in which `key` stands or would stand.
    pub(super) fn block_of(&self, key: &Key) -> usize {
        let at = self
            .blocks
            .partition_point(|block| block.last_key().is_some_and(|last| last < key));
        at.min(self.blocks.len().saturating_sub(1))
    }

    pub(super) fn find(&self, key: &Key) -> Option<Place> {
        if self.blocks.is_empty() {
            return None;
        }
        let block = self.block_of(key);
        debug_assert!(!self.blocks[block].is_away(), "brought before");
        let slots = &self.blocks[block].slots;
        let index = slots.binary_search_by(|slot| slot.key.cmp(key)).ok()?;
        Some(Place { block, index })
    }

    pub(super) fn at(&self, place: Place) -> &Slot {
        &self.blocks[place.block].slots[place.index]
    }

    /// Sets what became of a slot and keeps the aggregates.
    pub(super) fn set(
        &mut self,
        place: Place,
        state: State,
        is_final: bool,
        reason: Option<Reason>,
    ) {
        let old = self.at(place).clone();
        self.forget_open(&old);
        self.applied -= usize::from(old.state == State::Applied);
        self.applied += usize::from(state == State::Applied);
        let block = &mut self.blocks[place.block];
        let last = place.index + 1 == block.slots.len();
        let slot = &mut block.slots[place.index];
        (slot.state, slot.is_final, slot.reason) = (state, is_final, reason);
        if !is_final {
            self.open
                .insert((slot.deadline.unwrap_or(i64::MAX), slot.key.clone()));
            self.held_open += usize::from(state == State::Held);
        }
        let (counted, settled) = (slot.counted(), slot.settled());
        let nothing_before = old.counted() == 0 && old.settled() == 0;
        if last && nothing_before && settled == 0 {
            // The common case of a debit decided where it was appended.
            block.counted.sum += counted;
            block.counted.low = block.counted.low.min(block.counted.sum);
            block.dirty = true;
        } else {
            block.sum_up();
        }
    }

    /// The balance just before a place.
    pub(super) fn before(&self, place: Place) -> i128 {
        let blocks = self.blocks[..place.block].iter();
        let slots = self.blocks[place.block].slots[..place.index].iter();
        blocks.map(|block| block.counted.sum).sum::<i128>() + slots.map(Slot::counted).sum::<i128>()
    }

    /// The lowest sum of what comes after a place, 0 for nothing; of decided history only, or of
    /// everything that counts.
    fn lowest_after(&self, place: Place, settled_only: bool) -> i128 {
        let (mut sum, mut low) = (0, 0);
        for slot in &self.blocks[place.block].slots[place.index + 1..] {
            sum += match settled_only {
                true => slot.settled(),
                false => slot.counted(),
            };
            low = low.min(sum);
        }
        for block in &self.blocks[place.block + 1..] {
            let sums = match settled_only {
                true => block.settled,
                false => block.counted,
            };
            if sums.low != i128::MAX {
                low = low.min(sum + sums.low);
            }
            sum += sums.sum;
        }
        low
    }

    /// How a debit that stands at `place` and does not count yet would fare; `all` also counts
    /// open debits behind it (corrections, redrives, policy `arrival`).
    pub(super) fn judge(&self, place: Place, all: bool) -> Verdict {
        let own = self.before(place) + self.at(place).signed;
        let Some(floor) = self.rules.floor else {
            return Verdict {
                refused: None,
                running: own,
            };
        };
        if own < floor {
            return Verdict {
                refused: Some(Reason::Insufficient),
                running: own,
            };
        }
        let low = own + self.lowest_after(place, !all);
        match low < floor {
            true => Verdict {
                refused: Some(Reason::BreaksHistory),
                running: low,
            },
            false => Verdict {
                refused: None,
                running: own,
            },
        }
    }

    /// Whether everything from a place on, counted as it stands, keeps the floor.
    pub(super) fn holds_from(&self, place: Place) -> bool {
        let Some(floor) = self.rules.floor else {
            return true;
        };
        let own = self.before(place) + self.at(place).counted();
        own.min(own + self.lowest_after(place, false)) >= floor
    }

    pub(super) fn due(&self, now: i64) -> Vec<Key> {
        let mut due = Vec::new();
        for (deadline, key) in &self.open {
            if *deadline > now {
                break;
            }
            due.push(key.clone());
        }
        due
    }

    pub(super) fn first_held(&self) -> Option<Key> {
        if self.held_open == 0 {
            return None;
        }
        self.open
            .iter()
            .map(|(_, key)| key)
            .filter(|key| self.slot(key).is_some_and(|s| s.state == State::Held))
            .min()
            .cloned()
    }

    pub(super) fn settled_at(&self, place: Place) -> i128 {
        self.at(place).settled()
    }
}
