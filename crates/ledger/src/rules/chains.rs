//! Chains: runs of linked items, all or nothing (contract A3).

use std::collections::HashSet;

use super::{
    Judge,
    book::{Book, Fault, Known, Space},
    items::{Extras, Verdict},
};
use crate::{
    call::{Item, ItemResult},
    codes::ResultCode,
    model::Mode,
};

impl<B: Book> Judge<'_, B> {
    pub(super) fn judge_chain(
        &mut self,
        chain: &[Item],
        results: &mut Vec<ItemResult>,
    ) -> Result<(), Fault> {
        let first_id = &chain[0].id;
        let sent_again = self.is_recorded_chain(chain)?;
        let mark = self.mark();
        let from = results.len();
        let mut failed = None;
        self.open_system_accounts(chain);
        let mut used = HashSet::with_capacity(chain.len());
        for (index, item) in (0u32..).zip(chain) {
            let mut verdict = if !used.insert(&*item.id) {
                Verdict::refused(ResultCode::FieldInvalid, Some("id"))
            } else {
                self.judge_item(item, Some((first_id, index)), &Extras::default())?
            };
            if verdict.code == ResultCode::Exists && !sent_again {
                // Recorded before, but not as this whole chain.
                verdict = Verdict::refused(ResultCode::ExistsWithDifferentChain, None);
            }
            if !verdict.code.is_success() {
                failed = Some((index as usize, verdict));
                break;
            }
            results.push(verdict.result(&item.id));
        }
        if let Some((index, verdict)) = failed {
            self.roll_back(mark);
            results.truncate(from);
            results.extend(chain.iter().enumerate().map(|(i, item)| {
                let other = Verdict::refused(ResultCode::LinkedTransferFailed, None);
                if i == index { verdict } else { other }.result(&item.id)
            }));
            self.remember_refusal(&chain[index], verdict);
        }
        Ok(())
    }

    /// Makes the system accounts that a chain uses first before its items are judged, since the
    /// records of a chain stand side by side (INV-L9).
    pub(super) fn open_system_accounts<'i>(&mut self, chain: impl IntoIterator<Item = &'i Item>) {
        for item in chain.into_iter().filter(|item| item.invalid.is_none()) {
            if matches!(item.mode, Mode::Single | Mode::Pending) {
                for id in item.debit.iter().chain(&item.credit) {
                    self.resolve_account(id);
                }
            }
        }
    }

    /// Whether the ids, in this order, are a recorded chain from its first to its last item.
    fn is_recorded_chain(&mut self, chain: &[Item]) -> Result<bool, Fault> {
        let first_id = &chain[0].id;
        let mut after = 0;
        for (index, item) in (0u32..).zip(chain) {
            let Some(Known::Record(seq)) = self.book.lookup(Space::Transfer, &[], &item.id)? else {
                return Ok(false);
            };
            if !self.is_in_chain(seq, first_id, index)? {
                return Ok(false);
            }
            after = seq + 1;
        }
        let goes_on =
            after < self.next_seq() && self.is_in_chain(after, first_id, chain.len() as u32)?;
        Ok(!goes_on)
    }

    fn is_in_chain(&mut self, seq: u64, first_id: &str, index: u32) -> Result<bool, Fault> {
        let record = self.load(seq)?;
        let place = record.transfer().and_then(|t| t.chain.as_ref());
        Ok(place.is_some_and(|(id, at)| **id == *first_id && *at == index))
    }
}

/// Rank 1 for the last item, rank 2 for the others.
pub(super) fn open_chain(chain: &[Item], results: &mut Vec<ItemResult>) {
    let last = chain.len() - 1;
    results.extend(chain.iter().enumerate().map(|(i, item)| {
        let code = if i == last {
            ResultCode::LinkedChainOpen
        } else {
            ResultCode::LinkedTransferFailed
        };
        Verdict::refused(code, None).result(&item.id)
    }));
}
