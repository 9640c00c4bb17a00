//! Chains: whole, neighbouring, in one batch (INV-L9); reversed as a whole, in reverse order.

use florin_base::Timestamp;

use super::{
    fold::{Check, Fold, ensure, fault},
    ids::{Ids, Key, Leg, Mark},
    report::Kind,
};
use crate::model::{Mode, Record, Slot, Transfer, TransferId};

/// A leg of the chain in progress.
#[derive(Debug)]
struct Member {
    id: TransferId,
    debit: Slot,
    credit: Slot,
    amount: u128,
    effective_at: Timestamp,
    moves: bool,
    reversal_of: Option<TransferId>,
}

/// The chain that the last record belongs to.
#[derive(Debug)]
pub(super) struct OpenChain {
    id: TransferId,
    batch: u64,
    members: Vec<Member>,
}

impl Fold {
    /// Ends the open chain unless a record goes on with it.
    pub(super) fn chain_before(&mut self, record: &Record) -> Check {
        let place = record.transfer().and_then(|t| t.chain.as_ref());
        let goes_on = match (&self.chain, place) {
            (Some(open), Some((id, index))) => {
                *id == open.id
                    && *index as usize == open.members.len()
                    && record.batch == open.batch
            }
            _ => false,
        };
        if !goes_on {
            self.end_chain()?;
            if let Some((id, index)) = place {
                ensure(*index == 0, Kind::ChainBroken, || {
                    format!("item {index} of chain {id} does not follow the one before")
                })?;
                self.chain = Some(OpenChain {
                    id: id.clone(),
                    batch: record.batch,
                    members: Vec::new(),
                });
            }
        }
        Ok(())
    }

    /// Adds a transfer to the open chain if it is in one.
    pub(super) fn chain_member(&mut self, t: &Transfer) -> Check {
        let (Some(open), Some((chain_id, index))) = (&mut self.chain, &t.chain) else {
            return Ok(());
        };
        ensure(*index > 0 || *chain_id == t.id, Kind::ChainBroken, || {
            format!("chain {chain_id} starts with transfer {}", t.id)
        })?;
        open.members.push(Member {
            id: t.id.clone(),
            debit: t.debit,
            credit: t.credit,
            amount: t.amount,
            effective_at: t.effective_at,
            moves: matches!(t.mode, Mode::Single | Mode::Post),
            reversal_of: t.reversal_of.clone(),
        });
        Ok(())
    }

    /// Judges the chain that just ended.
    pub(super) fn end_chain(&mut self) -> Check {
        let Some(chain) = self.chain.take() else {
            return Ok(());
        };
        let OpenChain { id, members, .. } = &chain;
        ensure(members.len() > 1, Kind::ChainBroken, || {
            format!("chain {id} has a single item")
        })?;
        let reversals = members.iter().filter(|m| m.reversal_of.is_some()).count();
        if reversals > 0 {
            ensure(reversals == members.len(), Kind::ReversalWrong, || {
                format!("chain {id} holds reversals and other transfers")
            })?;
            return self.reversed_chain(&chain);
        }
        if members.iter().all(|m| m.moves) {
            let (key, count) = (Ids::key(id), members.len() as u32);
            for (index, m) in (0..).zip(members) {
                let mark = Mark::movement(m.debit, m.credit, m.amount, leg(key, index, count));
                self.ids.set(Ids::key(&m.id), mark);
            }
        }
        Ok(())
    }

    /// Each item is the opposite of its counterpart, last first, and none is left out.
    fn reversed_chain(&self, chain: &OpenChain) -> Check {
        let count = chain.members.len() as u32;
        let first = chain.members.last().and_then(|m| m.reversal_of.as_deref());
        let Some(original) = first.map(Ids::key) else {
            return Err(fault(Kind::ReversalWrong, "an empty chain"));
        };
        for (index, m) in (0..).zip(&chain.members) {
            let counterpart = leg(original, count - 1 - index, count);
            let opposite = Mark::movement(m.credit, m.debit, m.amount, counterpart);
            let named = m.reversal_of.as_deref().unwrap_or_default();
            self.opposes(&m.id, named, opposite, m.effective_at)?;
        }
        Ok(())
    }
}

fn leg(chain: Key, index: u32, count: u32) -> Option<Leg> {
    Some(Leg {
        chain,
        index,
        count,
    })
}
