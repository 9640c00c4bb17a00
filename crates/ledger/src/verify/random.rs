//! Consistent histories at random, with everything a ledger records.

use std::collections::BTreeMap;

use super::fixture::Book;
use crate::model::{Slot, Transfer};

/// SplitMix64: good enough to choose, and the seed says it all.
pub(super) struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }
}

/// A history in the making.
struct History<'r> {
    book: Book,
    random: &'r mut Random,
    payers: [Slot; 3],
    /// What may be reversed: transfers, or whole chains.
    reversible: Vec<Vec<Transfer>>,
}

/// A consistent history of some batches after the first.
pub(super) fn random_book(random: &mut Random, batches: u64) -> Book {
    let mut book = Book::new();
    let wallet = book.wallet(0x0190_f000_0000_7000_8000_0000_0000_00aa);
    let mut history = History {
        book,
        random,
        payers: [1, 2, wallet],
        reversible: Vec::new(),
    };
    for batch in 0..batches {
        history.book.commit();
        history.expire_due();
        for item in 0..1 + history.random.below(4) {
            history.item(&format!("t{batch}-{item}"));
        }
    }
    history.book
}

impl History<'_> {
    fn expire_due(&mut self) {
        let now = self.book.now;
        let due = |p: &&Transfer| p.expires_at.is_some_and(|at| at <= now);
        let due: Vec<_> = self
            .book
            .pendings
            .values()
            .filter(due)
            .map(|p| p.id.clone())
            .collect();
        due.iter().for_each(|id| self.book.expire(id));
    }

    fn item(&mut self, id: &str) {
        let at = self.random.below(3);
        let payer = self.payers[at];
        let payee = match self.random.below(3) {
            0 => 0,
            step => self.payers[(at + step) % 3],
        };
        let most = self.book.available(payer);
        let amount = 1 + self.random.below(50) as u128;
        match self.random.below(8) {
            0 if most > 0 => {
                let timeout = 1 + self.random.below(5) as u32;
                let t = self
                    .book
                    .pending(id, (payer, payee), amount.min(most), timeout);
                self.book.post(t);
            }
            1 | 2 if !self.book.pendings.is_empty() => self.resolve(id),
            3 => self.chain(id, payer, amount),
            4 if !self.reversible.is_empty() => self.reverse(),
            5 if most > 0 => {
                let mut t = self.book.single(id, payer, payee, amount.min(most));
                t.effective_at.0 -= self.random.below(1_000_000_000) as i64;
                self.post(t);
            }
            _ => {
                let t = self.book.single(id, 0, payer, amount);
                self.post(t);
            }
        }
    }

    fn post(&mut self, t: Transfer) {
        self.reversible.push(vec![t.clone()]);
        self.book.post(t);
    }

    fn resolve(&mut self, id: &str) {
        let at = self.random.below(self.book.pendings.len());
        let pending = self
            .book
            .pendings
            .values()
            .nth(at)
            .expect("in range")
            .clone();
        if self.random.below(2) == 0 {
            let t = self
                .book
                .resolution(&format!("void{id}"), &pending.id, None);
            self.book.post(t);
        } else {
            let part = 1 + self.random.below(pending.amount as usize) as u128;
            let t = self
                .book
                .resolution(&format!("post{id}"), &pending.id, Some(part));
            self.post(t);
        }
    }

    fn chain(&mut self, id: &str, payer: Slot, amount: u128) {
        let first: Box<str> = format!("{id}-0").into();
        let legs = 0..2 + self.random.below(3) as u32;
        let legs: Vec<Transfer> = legs
            .map(|index| Transfer {
                chain: Some((first.clone(), index)),
                ..self.book.single(&format!("{id}-{index}"), 0, payer, amount)
            })
            .collect();
        legs.iter().for_each(|t| self.book.post(t.clone()));
        self.reversible.push(legs);
    }

    fn reverse(&mut self) {
        let at = self.random.below(self.reversible.len());
        let originals = self.reversible.swap_remove(at);
        // Nobody is left below the floor: only money that is still there goes back.
        let mut goes_back: BTreeMap<Slot, u128> = BTreeMap::new();
        for t in &originals {
            *goes_back.entry(t.credit).or_default() += t.amount;
        }
        let fits = |(slot, sum): (&Slot, &u128)| *slot == 0 || *sum <= self.book.available(*slot);
        if !goes_back.iter().all(fits) {
            return;
        }
        let last = originals.last().expect("not empty").id.clone();
        for (index, t) in originals.iter().rev().enumerate() {
            let mut reversal = self.book.reversal(t);
            if originals.len() > 1 {
                reversal.chain = Some((format!("{last}:rev").into(), index as u32));
            }
            self.book.post(reversal);
        }
    }
}
