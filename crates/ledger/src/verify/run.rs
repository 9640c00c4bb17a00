//! Takes records in order, folds and hashes them, and ends with the report.

use florin_base::Timestamp;

use super::{
    Progress,
    fold::{Account, Fault, Fold},
    hashes::Hashes,
    ids::Mark,
    report::{Head, Kind, Report, Violation},
};
use crate::{
    call::AssetSums,
    exchange::FeedLine,
    model::{Record, Slot, Totals},
    record::line::write_line,
};

/// Records between two calls of the progress callback, at least.
const PROGRESS_EVERY: u64 = 10_000;

pub(super) struct Verifier<'p> {
    fold: Fold,
    hashes: Hashes,
    seq: u64,
    batch: u64,
    recorded_at: Option<Timestamp>,
    line: Vec<u8>,
    shown: u64,
    progress: &'p mut dyn FnMut(Progress),
    signatures: u64,
}

pub(super) type Step = Result<(), Violation>;

impl<'p> Verifier<'p> {
    pub(super) fn new(
        hashes: Hashes,
        signatures: u64,
        progress: &'p mut dyn FnMut(Progress),
    ) -> Self {
        Self {
            fold: Fold::default(),
            hashes,
            seq: 0,
            batch: 0,
            recorded_at: None,
            line: Vec::new(),
            shown: 0,
            progress,
            signatures,
        }
    }

    /// The `seq` that must come next.
    pub(super) fn next_seq(&self) -> u64 {
        self.seq + 1
    }

    pub(super) fn batch(&self) -> u64 {
        self.batch
    }

    /// A violation where the next record should be.
    pub(super) fn here(&self, kind: Kind, detail: impl Into<String>) -> Violation {
        Violation {
            kind,
            batch: self.batch.max(1),
            seq: self.next_seq(),
            detail: detail.into(),
        }
    }

    /// A record of a journal, with the totals kept beside it.
    pub(super) fn stored(&mut self, record: &Record) -> Step {
        self.place(record.seq, record.batch, record.recorded_at)?;
        self.take(record, true)
    }

    /// A line of an export, without its line end.
    pub(super) fn exported(&mut self, line: &[u8]) -> Step {
        let parsed =
            FeedLine::parse(line).map_err(|e| self.here(Kind::LineMalformed, e.to_string()))?;
        self.place(parsed.seq, parsed.batch, parsed.recorded_at)?;
        let record = self.fold.resolve(parsed);
        let record = record.map_err(|fault| self.at(fault))?;
        self.take(&record, false)?;
        if self.line != line {
            let spelled = String::from_utf8_lossy(&self.line).into_owned();
            let mut violation = self.here(Kind::LineNotCanonical, format!("expected {spelled}"));
            violation.seq = self.seq;
            return Err(violation);
        }
        Ok(())
    }

    /// An id that was refused for good (kept in journals only).
    pub(super) fn refused(&mut self, id: &str) -> Step {
        let at = self.recorded_at.unwrap_or_default();
        let added = self.fold.new_id(id, Mark::REFUSED, at);
        added.map_err(|fault| self.here(fault.kind, fault.detail))
    }

    /// Gaps and time (INV-L7); ends the batch before when a new one starts.
    fn place(&mut self, seq: u64, batch: u64, recorded_at: Timestamp) -> Step {
        if seq != self.next_seq() {
            let detail = format!("record {seq} stands where {} should", self.next_seq());
            return Err(self.here(Kind::SeqGap, detail));
        }
        if batch == self.batch {
            if self.recorded_at != Some(recorded_at) {
                let detail = format!("{recorded_at} differs from the time of its batch");
                return Err(self.here(Kind::TimeFell, detail));
            }
            return Ok(());
        }
        if batch != self.batch + 1 {
            let detail = format!("batch {batch} follows batch {}", self.batch);
            return Err(self.here(Kind::BatchGap, detail));
        }
        self.end_batch()?;
        if self.recorded_at.is_some_and(|before| recorded_at <= before) {
            let detail = format!("{recorded_at} is not after the batch before");
            return Err(self.here(Kind::TimeFell, detail));
        }
        self.batch = batch;
        self.recorded_at = Some(recorded_at);
        Ok(())
    }

    fn at(&self, fault: Fault) -> Violation {
        self.here(fault.kind, fault.detail)
    }

    fn take(&mut self, record: &Record, stored: bool) -> Step {
        let applied = self.fold.apply(record, stored);
        applied.map_err(|fault| self.at(fault))?;
        self.line.clear();
        write_line(record, &self.fold, &mut self.line);
        self.hashes.push(&self.line);
        self.seq = record.seq;
        Ok(())
    }

    fn end_batch(&mut self) -> Step {
        let ended = self.fold.end_chain();
        ended.map_err(|fault| Violation {
            seq: self.seq,
            ..self.at(fault)
        })?;
        let ended = self.hashes.end_batch(self.batch);
        ended.map_err(|(kind, detail)| Violation {
            kind,
            batch: self.batch,
            seq: self.hashes.first_doubtful().min(self.seq.max(1)),
            detail,
        })?;
        if self.seq - self.shown >= PROGRESS_EVERY {
            self.shown = self.seq;
            (self.progress)(Progress {
                records: self.seq,
                batches: self.batch,
            });
        }
        Ok(())
    }

    /// A balance that is kept beside the records.
    pub(super) fn balance(&self, slot: Slot, kept: &Totals) -> Step {
        let Some(account) = self.fold.accounts.get(slot as usize) else {
            let detail = format!("there is a balance of account {slot}, which was never recorded");
            return Err(self.here(Kind::StoredBalance, detail));
        };
        if account.totals == *kept {
            return Ok(());
        }
        let detail = format!(
            "the records of {} amount to {:?}, kept is {kept:?}",
            account.id, account.totals
        );
        Err(self.here(Kind::StoredBalance, detail))
    }

    /// So many balances are kept beside the records.
    pub(super) fn balances_end(&self, count: usize) -> Step {
        if count == self.fold.accounts.len() {
            return Ok(());
        }
        let detail = format!(
            "{count} balances are kept of {} accounts",
            self.fold.accounts.len()
        );
        Err(self.here(Kind::StoredBalance, detail))
    }

    /// Ends the last batch, makes the final sums, reports.
    pub(super) fn finish(mut self, torn_bytes: u64) -> Result<Report, Violation> {
        self.end_batch()?;
        let ended = self.hashes.end();
        ended.map_err(|(kind, detail)| self.here(kind, detail))?;
        (self.progress)(Progress {
            records: self.seq,
            batches: self.batch,
        });
        self.pendings_agree()?;
        let skipped = || self.fold.accounts.iter().filter(|a| a.floor_skipped);
        let below = |account: &&Account| {
            let slot = self.fold.slots.get(&account.id);
            slot.is_some_and(|slot| self.fold.is_below_floor(*slot).unwrap_or(true))
        };
        Ok(Report {
            records: self.seq,
            batches: self.batch,
            assets: self.fold.assets.len() as u64,
            accounts: self.fold.accounts.len() as u64,
            open_pendings: self.fold.pendings.len() as u64,
            checkpoints_verified: self.hashes.verified(),
            signatures_verified: self.signatures,
            covered_seq: self.hashes.covered(),
            sums: self.sums(),
            floor_skipped_records: self.fold.floor_skipped_records,
            floor_skipped: skipped().map(|a| a.id.clone()).collect(),
            below_floor: skipped().filter(below).map(|a| a.id.clone()).collect(),
            torn_bytes,
            head: Head {
                seq: self.seq,
                batch: self.batch,
                recorded_at: self.recorded_at,
                root_hash: self.hashes.root(),
                chain_hash: self.hashes.chain(),
            },
        })
    }

    /// The second half of INV-L2: pending totals are the sums of the unresolved transfers.
    fn pendings_agree(&self) -> Step {
        let mut totals = vec![(0u128, 0u128); self.fold.accounts.len()];
        for open in self.fold.pendings.values() {
            let debit = &mut totals[open.debit as usize].0;
            *debit = debit.saturating_add(open.amount);
            let credit = &mut totals[open.credit as usize].1;
            *credit = credit.saturating_add(open.amount);
        }
        for (account, sums) in self.fold.accounts.iter().zip(totals) {
            let t = &account.totals;
            if (t.debits_pending, t.credits_pending) != sums {
                let detail = format!("pending totals of {} are not {sums:?}", account.id);
                return Err(self.here(Kind::SumsDiffer, detail));
            }
        }
        Ok(())
    }

    fn sums(&self) -> Vec<AssetSums> {
        let mut sums: Vec<AssetSums> = Vec::new();
        sums.extend(self.fold.assets.iter().map(|asset| AssetSums {
            asset: asset.code.clone(),
            ..AssetSums::default()
        }));
        for account in &self.fold.accounts {
            let of_asset = &mut sums[usize::from(account.asset)];
            of_asset.accounts += 1;
            let (s, t) = (&mut of_asset.totals, &account.totals);
            *s = Totals {
                debits_posted: s.debits_posted.saturating_add(t.debits_posted),
                credits_posted: s.credits_posted.saturating_add(t.credits_posted),
                debits_pending: s.debits_pending.saturating_add(t.debits_pending),
                credits_pending: s.credits_pending.saturating_add(t.credits_pending),
                postings: s.postings + t.postings,
                events: s.events + t.events,
            };
        }
        sums
    }
}
