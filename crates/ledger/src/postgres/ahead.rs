//! The next batch, judged while the server writes the rows of the last one.
//!
//! **Why it is safe.** Such a judgement rests on what the last batch makes of the ledger, before
//! that batch is committed. It is used only when the head, locked again, is exactly what it was
//! judged on: nobody else committed, no reservation fell due, ledger time did not move on. In
//! every other case, and whenever the last batch was not committed, it is thrown away, and the
//! batch is judged like any other. It reads nothing from the database: a batch that needs more
//! than this process remembers is not judged ahead. An identity that the batch before it wrote is
//! noticed when it is inserted again, as one of another process is.

use super::{
    attempt::{Judgement, Locked},
    batcher::Batcher,
    collect::Collector,
    queue::Message,
    writes::Writes,
};
use crate::{model::Slot, rules::Start};

/// A batch and its judgement.
pub(super) struct Next {
    pub messages: Vec<Message>,
    pub judged: Ahead,
}

/// See the module text.
pub(super) struct Ahead {
    pub start: Start,
    pub judgement: Judgement,
    /// Its rows, so that the server has work as soon as the batch before is committed.
    pub writes: Writes,
    accounts: u64,
    assets: usize,
}

/// The head after a batch that is being written.
pub(super) struct After {
    pub seq: u64,
    pub batch: u64,
    pub note: u64,
    pub accounts: u64,
    pub assets: usize,
}

impl Ahead {
    /// The ledger is what this was judged on.
    pub(super) fn fits(&self, locked: &Locked) -> bool {
        let start = &self.start;
        locked.head.seq == start.last_seq
            && locked.head.batch + 1 == start.batch
            && locked.note == start.last_note
            && locked.accounts == self.accounts
            && locked.assets == self.assets
            && locked.settled_at < start.now.0
            && locked.next_due.is_none_or(|at| at > start.now.0)
    }
}

impl Batcher {
    /// Judges the next batch, when one waits that is worth it. Answers whether the changes of the
    /// batch that is being written were taken over already: from then on, they must be committed
    /// or everything remembered must be forgotten.
    pub(super) fn look_ahead(&mut self, after: &After, tails: &mut Vec<(Slot, Vec<u64>)>) -> bool {
        let (before, assets) = self.working.new_assets();
        let makes_accounts = !self.working.new_slots().is_empty() || !assets.is_empty();
        if makes_accounts || before != after.assets || self.doubts > 0 {
            return false;
        }
        let shared = self.shared.clone();
        shared.queue.take_all(&mut self.waiting);
        let items: usize = self.waiting.iter().map(Message::items).sum();
        if items < self.large_batch {
            return false;
        }
        self.working.committed(std::mem::take(tails));
        let messages = self.gather();
        match self.judge_ahead(after, &messages) {
            Some(judged) => self.next = Some(Next { messages, judged }),
            None => self.put_back(messages),
        }
        true
    }

    fn judge_ahead(&mut self, after: &After, messages: &[Message]) -> Option<Ahead> {
        let start = Start {
            batch: after.batch + 1,
            now: self.time.next(),
            last_seq: after.seq,
            last_note: after.note,
        };
        if self.next_due.is_some_and(|at| at <= start.now.0) {
            return None;
        }
        let assets = self.working.assets().to_vec();
        self.working.begin(after.accounts, assets);
        let mut collector = Collector::new(&self.working, true);
        for message in messages {
            if let Message::Call(call, _) = message {
                collector.call(call);
            }
        }
        let Collector {
            mut keys, trusted, ..
        } = collector;
        keys.slots.retain(|slot| !self.working.cache.keep(*slot));
        if !keys.is_empty() {
            return None;
        }
        self.working.trust(trusted);
        let (judgement, broken_import) =
            self.judge_once(messages, start, &vec![false; messages.len()]);
        let settled = broken_import.is_none()
            && self.working.take_missed().is_empty()
            && self.working.take_unverified().is_empty();
        if !settled {
            return None;
        }
        let writes = Writes::of(&self.working, start, &judgement.made.records);
        Some(Ahead {
            start,
            judgement,
            writes,
            accounts: after.accounts,
            assets: after.assets,
        })
    }

    /// The batch before it was not committed, or it could not be judged: it waits like any other.
    pub(super) fn put_back(&mut self, messages: Vec<Message>) {
        for message in messages.into_iter().rev() {
            self.waiting.push_front(message);
        }
    }
}
