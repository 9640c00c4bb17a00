//! The two outcomes: a report, or the first violation.

use std::fmt;

use florin_base::Timestamp;

use crate::{
    call::AssetSums,
    model::{AccountId, words},
    proof::Hash,
};

words! {
    /// What is wrong.
    Kind {
        LineMalformed = "line_malformed", LineNotCanonical = "line_not_canonical",
        JournalDamaged = "journal_damaged", CommitMalformed = "commit_malformed",
        SeqGap = "seq_gap", BatchGap = "batch_gap", TimeFell = "time_fell",
        CheckpointMalformed = "checkpoint_malformed", CheckpointSignature = "checkpoint_signature",
        CheckpointOfOtherLedger = "checkpoint_of_other_ledger",
        CheckpointMisplaced = "checkpoint_misplaced", RootMismatch = "root_mismatch",
        ChainMismatch = "chain_mismatch", RecordsMissing = "records_missing",
        FieldInvalid = "field_invalid", IdUsedTwice = "id_used_twice",
        AssetUnknown = "asset_unknown", AssetMismatch = "asset_mismatch",
        AccountUnknown = "account_unknown", AccountClosed = "account_closed",
        AccountFrozen = "account_frozen", AccountNotEmpty = "account_not_empty",
        WalletWrong = "wallet_wrong", VersionWrong = "version_wrong",
        EffectiveTime = "effective_time", PendingNotOpen = "pending_not_open",
        PendingMismatch = "pending_mismatch", PendingExceeded = "pending_exceeded",
        PendingExpired = "pending_expired", ChainBroken = "chain_broken",
        ReversalWrong = "reversal_wrong", Overflow = "overflow", FloorPassed = "floor_passed",
        SumsDiffer = "sums_differ", StoredBalance = "stored_balance",
    }
}

/// The first thing found wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// What is wrong.
    pub kind: Kind,
    /// The commit it is in (the one expected there, where it cannot be read).
    pub batch: u64,
    /// The record, or the first of the records, that it is about.
    pub seq: u64,
    /// For people.
    pub detail: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} in batch {}, seq {}: {}",
            self.kind, self.batch, self.seq, self.detail
        )
    }
}

/// Where the verified records end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// Last record.
    pub seq: u64,
    /// Last commit.
    pub batch: u64,
    /// Its ledger time; `None` without records.
    pub recorded_at: Option<Timestamp>,
    /// Root of the tree over all records.
    pub root_hash: Hash,
    /// `chain(batch)`; `None` when the ledger's id is not known.
    pub chain_hash: Option<Hash>,
}

/// What was verified; everything in it is good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Count of records.
    pub records: u64,
    /// Count of commits.
    pub batches: u64,
    /// Count of assets.
    pub assets: u64,
    /// Count of accounts.
    pub accounts: u64,
    /// Pending transfers that are not resolved.
    pub open_pendings: u64,
    /// Checkpoints whose root and chain were compared.
    pub checkpoints_verified: u64,
    /// Those of them whose signature was checked; fewer only when no key was given.
    pub signatures_verified: u64,
    /// The last record that a checkpoint vouches for; 0 without checkpoints.
    pub covered_seq: u64,
    /// The totals of each asset over all accounts, in order of creation. A total that passes
    /// 2^128 - 1 is shown as that.
    pub sums: Vec<AssetSums>,
    /// Records imported with floors skipped: they are left out of the floor check.
    pub floor_skipped_records: u64,
    /// The accounts that those records lowered.
    pub floor_skipped: Vec<AccountId>,
    /// Those of them that are below their floor at the end.
    pub below_floor: Vec<AccountId>,
    /// Bytes at the end of the journal that a crash left half written; never acknowledged.
    pub torn_bytes: u64,
    /// Where the records end.
    pub head: Head,
}
