//! A correction as it stands, its row, and the record of each of its steps.

use florin_platform::sql::Row;
use serde::{Deserialize, Serialize};

use super::rules::{Door, Kind, Status, entry_of};
use crate::model::amount::join;
use crate::model::{BookId, Direction, Event};
use crate::store::WriteError;

/// Kind of the records of the log that tell a correction's life.
pub const RECORD: &str = "correction";

/// A correction. Amounts in minor units.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Correction {
    /// Its id, which is also the id of its entry.
    pub id: String,
    /// Its book.
    pub book: BookId,
    /// What it adds to the balance; of a variance what the match accepts.
    pub signed: i128,
    /// Effective time, epoch ms.
    pub timestamp: i64,
    /// Where it comes from.
    pub kind: Kind,
    /// How far it has come.
    pub status: Status,
    /// Why it was proposed.
    pub reason: String,
    /// Who proposed it.
    pub proposed_by: String,
    /// Who approved or rejected it.
    pub approved_by: Option<String>,
    /// Through which door.
    pub door: Door,
    /// The event that it is about.
    pub cause: Option<String>,
    /// The check that made it.
    pub check_id: Option<String>,
    /// The statement line that it follows.
    pub line_id: Option<String>,
    /// The other leg of a pair.
    pub partner: Option<String>,
    /// What it redrives, reverses or accepts: an event, a correction or a match.
    pub target: Option<String>,
    /// Of a linked book: the ledger's transfer that brings it.
    pub transfer_id: Option<String>,
    /// Digest of the request that made it, to tell a repetition from a conflict.
    pub request: Option<String>,
    /// Trace id of the request that made it.
    pub trace_id: Option<String>,
    /// When it was proposed, microseconds.
    pub proposed_at: i64,
    /// When it was approved or rejected, microseconds.
    pub decided_at: Option<i64>,
    /// When it came into the books, microseconds.
    pub applied_at: Option<i64>,
    /// The UTC day on which the policy approved it, in days since 1970.
    pub auto_day: Option<i64>,
    /// Record that made it.
    pub made_seq: i64,
    /// Record of its latest step.
    pub log_seq: i64,
}

/// The columns of the table, in its order.
pub const COLUMNS: &str = "id, account_id, currency, m0, m1, m2, ts, kind, status, reason,
    proposed_by, approved_by, door, cause, check_id, line_id, partner, target, transfer_id,
    request, trace_id, proposed_at, decided_at, applied_at, auto_day, made_seq, log_seq";

impl Correction {
    /// Reads a row with [`COLUMNS`].
    ///
    /// # Errors
    /// [`WriteError::Store`] or [`WriteError::Damaged`].
    pub fn from_row(row: &Row) -> Result<Self, WriteError> {
        let damaged = || WriteError::Damaged("correction");
        let columns = [row.get("m0")?, row.get("m1")?, row.get("m2")?];
        Ok(Self {
            id: row.get("id")?,
            book: BookId::new(
                row.get::<String>("account_id")?,
                row.get::<String>("currency")?,
            ),
            signed: join(columns).ok_or_else(damaged)?,
            timestamp: row.get("ts")?,
            kind: Kind::from_word(&row.get::<String>("kind")?).ok_or_else(damaged)?,
            status: Status::from_word(&row.get::<String>("status")?).ok_or_else(damaged)?,
            reason: row.get("reason")?,
            proposed_by: row.get("proposed_by")?,
            approved_by: row.get("approved_by")?,
            door: Door::from_word(&row.get::<String>("door")?).ok_or_else(damaged)?,
            cause: row.get("cause")?,
            check_id: row.get("check_id")?,
            line_id: row.get("line_id")?,
            partner: row.get("partner")?,
            target: row.get("target")?,
            transfer_id: row.get("transfer_id")?,
            request: row.get("request")?,
            trace_id: row.get("trace_id")?,
            proposed_at: row.get("proposed_at")?,
            decided_at: row.get("decided_at")?,
            applied_at: row.get("applied_at")?,
            auto_day: row.get("auto_day")?,
            made_seq: row.get("made_seq")?,
            log_seq: row.get("log_seq")?,
        })
    }

    /// `credit` or `debit`, and the amount without a sign.
    pub const fn entry(&self) -> (Direction, i128) {
        entry_of(self.signed)
    }

    /// The entry that it becomes.
    pub fn event(&self) -> Event {
        let (direction, amount) = self.entry();
        Event {
            event_id: self.id.clone(),
            account_id: self.book.account_id.clone(),
            direction,
            amount,
            timestamp: self.timestamp,
            currency: self.book.currency.clone(),
            reference: None,
            description: Some(self.reason.clone()),
            source: None,
            sequence: None,
        }
    }

    /// What it will add to the balance while it is pending.
    pub const fn pending(&self) -> i128 {
        match (self.status.pending(), self.kind) {
            (true, Kind::Variance) | (false, _) => 0,
            (true, _) => self.signed,
        }
    }
}

/// What is to be proposed.
#[derive(Debug, Clone)]
pub struct Proposal {
    /// Its id.
    pub id: String,
    /// Its book.
    pub book: BookId,
    /// Signed minor units.
    pub signed: i128,
    /// Effective time, epoch ms.
    pub timestamp: i64,
    /// Where it comes from.
    pub kind: Kind,
    /// Through which door.
    pub door: Door,
    /// Why.
    pub reason: String,
    /// The event that it is about.
    pub cause: Option<String>,
    /// The check that makes it.
    pub check_id: Option<String>,
    /// The statement line that it follows.
    pub line_id: Option<String>,
    /// The other leg of a pair.
    pub partner: Option<String>,
    /// What it redrives, reverses or accepts.
    pub target: Option<String>,
    /// Digest of the request.
    pub request: Option<String>,
}

impl Proposal {
    /// A proposal without anything that only some kinds have.
    pub fn new(id: impl Into<String>, book: BookId, signed: i128, timestamp: i64) -> Self {
        Self {
            id: id.into(),
            book,
            signed,
            timestamp,
            kind: Kind::Manual,
            door: Door::Http,
            reason: String::new(),
            cause: None,
            check_id: None,
            line_id: None,
            partner: None,
            target: None,
            request: None,
        }
    }
}

/// Content of a record of kind [`RECORD`]: everything that the row holds, and the step.
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct StepBody {
    /// `correction.proposed`, `correction.approved`, ….
    pub action: String,
    /// Status before; absent for the first.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub before: Option<String>,
    /// Status now.
    pub after: String,
    /// `credit` or `debit`.
    #[serde(rename = "type")]
    pub direction: String,
    /// Minor units as decimal digits.
    pub minor: String,
    /// Effective time, epoch ms.
    pub timestamp: i64,
    /// Kind of the correction.
    pub kind: String,
    /// Door.
    pub door: String,
    /// Who proposed it.
    pub proposed_by: String,
    /// Why this step was taken.
    pub reason: String,
    /// The event that it is about.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub cause: Option<String>,
    /// The check that made it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub check_id: Option<String>,
    /// The statement line that it follows.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub line_id: Option<String>,
    /// The other leg of a pair.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub partner: Option<String>,
    /// What it redrives, reverses or accepts.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub target: Option<String>,
    /// Of a linked book: the ledger's transfer.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub transfer_id: Option<String>,
    /// Names the settings that decided.
    pub policy_version: String,
}

impl StepBody {
    /// The record of a step that has led to the correction as it stands.
    pub fn of(
        correction: &Correction,
        before: Option<Status>,
        reason: &str,
        policy_version: &str,
    ) -> Self {
        let (direction, amount) = correction.entry();
        Self {
            action: format!("correction.{}", correction.status),
            before: before.map(|status| status.as_str().to_owned()),
            after: correction.status.as_str().to_owned(),
            direction: direction.as_str().to_owned(),
            minor: amount.to_string(),
            timestamp: correction.timestamp,
            kind: correction.kind.as_str().to_owned(),
            door: correction.door.as_str().to_owned(),
            proposed_by: correction.proposed_by.clone(),
            reason: reason.to_owned(),
            cause: correction.cause.clone(),
            check_id: correction.check_id.clone(),
            line_id: correction.line_id.clone(),
            partner: correction.partner.clone(),
            target: correction.target.clone(),
            transfer_id: correction.transfer_id.clone(),
            policy_version: policy_version.to_owned(),
        }
    }
}
