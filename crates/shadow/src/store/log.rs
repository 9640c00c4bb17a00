//! Records of the log as they are stored, read by the page.

use florin_platform::sql::{Query, Row};
use serde::{Deserialize, Deserializer};

use super::bodies::{DecisionBody, EventBody};
use super::error::WriteError;
use super::pages;
use super::record::{Chained, Stamp, kind};
use crate::model::reducer::{Entry, Step};
use crate::model::{Direction, State};

const ROWS: &str = "SELECT * FROM shadow_log WHERE log_seq > $1 AND log_seq <= $2
    ORDER BY log_seq LIMIT $3";

/// The records behind `after` up to `to`, at most so many; [`read`] reads them.
pub(super) fn page(is_shared: bool, after: i64, to: i64, limit: i64) -> Query {
    let hash = match is_shared {
        true => "encode(r.hash, 'hex')",
        false => "hex(r.hash)",
    };
    // The order of the fields of `Record`.
    let columns = format!(
        "r.log_seq, r.recorded_at, r.kind, r.account_id, r.currency, r.subject, r.actor, r.role,
         r.trace_id, r.emits, r.body, {hash}"
    );
    pages::select(is_shared, &columns, ROWS)
        .bind(after)
        .bind(to)
        .bind(limit)
}

/// The records of a [`page`], in their order.
///
/// # Errors
/// As [`pages::read`].
pub(super) fn read(row: Option<Row>) -> Result<Vec<Record>, WriteError> {
    let mut records: Vec<Record> = pages::read(row, "record of the log")?;
    records.sort_by_key(|record| record.log_seq);
    Ok(records)
}

/// A record as it is stored.
#[derive(Debug, Deserialize)]
pub(super) struct Record {
    pub(super) log_seq: i64,
    pub(super) recorded_at: i64,
    pub(super) kind: String,
    pub(super) account_id: Option<String>,
    pub(super) currency: Option<String>,
    subject: Option<String>,
    actor: String,
    role: Option<String>,
    trace_id: Option<String>,
    emits: Option<String>,
    pub(super) body: String,
    #[serde(deserialize_with = "hash")]
    pub(super) hash: [u8; 32],
}

fn hash<'de, D: Deserializer<'de>>(source: D) -> Result<[u8; 32], D::Error> {
    let digits = String::deserialize(source)?;
    let mut hash = [0; 32];
    // A hash of another length fits nothing.
    Ok(match hex::decode_to_slice(&digits, &mut hash) {
        Ok(()) => hash,
        Err(_) => [0; 32],
    })
}

impl Record {
    /// The link of the chain that it makes behind `previous`.
    pub(super) fn link(&self, previous: &[u8; 32]) -> [u8; 32] {
        Chained {
            stamp: Stamp {
                log_seq: self.log_seq,
                recorded_at: self.recorded_at,
            },
            kind: &self.kind,
            account_id: self.account_id.as_deref(),
            currency: self.currency.as_deref(),
            subject: self.subject.as_deref(),
            actor: &self.actor,
            role: self.role.as_deref(),
            trace_id: self.trace_id.as_deref(),
            emits: self.emits.as_deref(),
            body: &self.body,
        }
        .link(previous)
    }

    /// What the reducer reads of it; the outer `None` is a damaged content.
    pub(super) fn step(&self) -> Option<Option<Step>> {
        match self.kind.as_str() {
            kind::EVENT => {
                let body: EventBody = serde_json::from_str(&self.body).ok()?;
                let entry = Entry {
                    timestamp: body.timestamp,
                    direction: Direction::from_word(&body.direction)?,
                    amount: body.minor.parse().ok()?,
                    state: State::from_word(&body.state)?,
                    correction: body.correction,
                    log_seq: self.log_seq,
                };
                Some(Some(Step::Event(body.event_id, entry)))
            }
            kind::DECISION | kind::FINAL => {
                let body: DecisionBody = serde_json::from_str(&self.body).ok()?;
                let state = State::from_word(&body.to)?;
                Some(Some(Step::State(body.event_id, state)))
            }
            _ => Some(None),
        }
    }
}
