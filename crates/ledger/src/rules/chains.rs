//! Chains: runs of linked items, all or nothing (contract A3).

use super::{
    Judge,
    book::{Book, Fault, Known, Space},
    items::{Extras, Verdict},
};
use crate::{
    call::{Item, ItemResult},
    codes::ResultCode,
};

impl<B: Book> Judge<'_, B> {
    pub(super) fn judge_chain(
        &mut self,
        chain: &[Item],
        results: &mut Vec<ItemResult>,
    ) -> Result<(), Fault> {
        let first_id = &chain[0].id;
        if let Some(seqs) = self.recorded_chain(chain)? {
            let verdicts = seqs
                .into_iter()
                .map(|seq| Verdict::done(ResultCode::Exists, seq));
            results.extend(
                chain
                    .iter()
                    .zip(verdicts)
                    .map(|(item, v)| v.result(&item.id)),
            );
            return Ok(());
        }
        let mark = self.mark();
        let from = results.len();
        let mut failed = None;
        for (index, item) in (0u32..).zip(chain) {
            let used_before = chain[..index as usize]
                .iter()
                .any(|other| other.id == item.id);
            let mut verdict = if used_before && item.invalid.is_none_or(|(code, _)| code.rank() > 3)
            {
                Verdict::refused(ResultCode::FieldInvalid, Some("id"))
            } else {
                self.judge_item(item, Some((first_id, index)), &Extras::default())?
            };
            if verdict.code == ResultCode::Exists {
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

    /// The `seq`s of a chain that was recorded exactly so before.
    fn recorded_chain(&mut self, chain: &[Item]) -> Result<Option<Vec<u64>>, Fault> {
        let mut seqs = Vec::with_capacity(chain.len());
        for (index, item) in (0u32..).zip(chain) {
            if item.invalid.is_some() {
                return Ok(None);
            }
            let Some(Known::Record(seq)) = self.book.lookup(Space::Transfer, &[], &item.id)? else {
                return Ok(None);
            };
            let verdict =
                self.repeated(item, seq, Some((&chain[0].id, index)), &Extras::default())?;
            if verdict.code != ResultCode::Exists {
                return Ok(None);
            }
            seqs.push(seq);
        }
        let after = seqs.last().copied().unwrap_or(0) + 1;
        if after < self.next_seq() {
            let next = self.load(after)?;
            let goes_on = next
                .transfer()
                .and_then(|t| t.chain.as_ref())
                .is_some_and(|(id, _)| *id == chain[0].id);
            if goes_on {
                return Ok(None);
            }
        }
        Ok(Some(seqs))
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
