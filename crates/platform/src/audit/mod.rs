//! The audit trail: who did what to which object, in one append-only, hash-chained log for all
//! rooms (contracts/README.md, "audit trail").
//!
//! **Boundary.** Rooms call [`AuditLog::append_in`] inside the transaction of the change, or
//! [`AuditLog::append`] where the change has no transaction of its own. The log keeps digests of
//! the object before and after, never the object: it must not hold personal data, because nothing
//! in it is ever erased.
//!
//! **Invariants.**
//! - `seq` is 1, 2, 3 … without gaps; entries are never changed or removed.
//! - `hash` covers the entry and the hash before it, so that any changed, removed, added or
//!   swapped entry is found by [`AuditLog::verify`], which also compares the end with the head.
//! - An entry written with [`AuditLog::append_in`] exists if and only if the change does.

pub mod api;
mod chain;

use std::sync::Arc;

use florin_base::{Clock, Timestamp};
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use crate::http::trace;
use crate::sql::{Db, Migration, Migrations, Query, Row, SqlError, Tx, query};

pub use chain::{Broken, Verdict};

/// Tables of the audit log.
pub const MIGRATIONS: Migrations = Migrations {
    room: "audit",
    steps: &[
        Migration {
            version: 1,
            name: "audit",
            sqlite: include_str!("../../migrations/sqlite/0001_audit.sql"),
            postgres: include_str!("../../migrations/postgres/0001_audit.sql"),
        },
        Migration {
            version: 2,
            name: "audit_by_time",
            sqlite: include_str!("../../migrations/sqlite/0013_audit_by_time.sql"),
            postgres: include_str!("../../migrations/postgres/0013_audit_by_time.sql"),
        },
    ],
};

/// What is to be written down. The time and the place in the chain are added by the log.
#[derive(Clone, Debug)]
pub struct Entry {
    actor: String,
    action: String,
    object: String,
    before: Option<[u8; 32]>,
    after: Option<[u8; 32]>,
    trace_id: Option<String>,
}

impl Entry {
    /// `actor` is the subject of the credential, `action` is `<room>.<thing>.<verb>` or shorter
    /// (`user.disabled`), `object` is `<kind>:<id>`. The trace id is that of the running request.
    pub fn new(
        actor: impl Into<String>,
        action: impl Into<String>,
        object: impl Into<String>,
    ) -> Self {
        Self {
            actor: actor.into(),
            action: action.into(),
            object: object.into(),
            before: None,
            after: None,
            trace_id: trace::with_current_id(str::to_owned),
        }
    }

    /// Keeps the digest of the object as it was.
    #[must_use]
    pub fn before(mut self, value: &impl Serialize) -> Self {
        self.before = Some(digest(value));
        self
    }

    /// Keeps the digest of the object as it is now.
    #[must_use]
    pub fn after(mut self, value: &impl Serialize) -> Self {
        self.after = Some(digest(value));
        self
    }
}

/// SHA-256 of the value's JSON text, as it stands in `before` and `after`.
pub fn digest(value: &impl Serialize) -> [u8; 32] {
    // A value that cannot be written as JSON has no state to compare: it counts as `null`.
    let text = serde_json::to_vec(value).unwrap_or_else(|_| b"null".to_vec());
    Sha256::digest(text).into()
}

/// One entry as it stands in the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    /// Place in the log, from 1.
    pub seq: i64,
    /// When it was written.
    pub at: Timestamp,
    /// Subject of the credential.
    pub actor: String,
    /// What was done.
    pub action: String,
    /// What it was done to, `<kind>:<id>`.
    pub object: String,
    /// SHA-256 of the object's JSON before, in hex; absent where there was none.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "hex_opt")]
    pub before: Option<Vec<u8>>,
    /// SHA-256 of the object's JSON after, in hex; absent where there is none.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "hex_opt")]
    pub after: Option<Vec<u8>>,
    /// Trace id of the request that did it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<String>,
    /// Hash of the entry before, in hex.
    #[serde(serialize_with = "hex_bytes")]
    pub prev_hash: Vec<u8>,
    /// Hash of this entry, in hex.
    #[serde(serialize_with = "hex_bytes")]
    pub hash: Vec<u8>,
}

impl Record {
    /// Where a list that ends with this entry goes on.
    pub fn place(&self) -> Place {
        Place {
            at: self.at.micros(),
            seq: self.seq,
        }
    }
}

/// Which entries a list shows; empty members do not narrow it.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Exactly this actor.
    pub actor: Option<String>,
    /// Exactly this action.
    pub action: Option<String>,
    /// Exactly this object.
    pub object: Option<String>,
    /// Not before this time.
    pub from: Option<Timestamp>,
    /// Before this time.
    pub to: Option<Timestamp>,
}

/// Where an entry stands in a list: the time it was written, then its place in the log. The time
/// comes first because the clocks of several processes differ a little: the order of `seq` is not
/// always that of `at`, and a list cut at a time must not lose an entry to that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// When it was written, microseconds since 1970.
    pub at: i64,
    /// Its `seq`.
    pub seq: i64,
}

/// The log; cheap to clone.
#[derive(Clone)]
pub struct AuditLog {
    db: Db,
    clock: Arc<dyn Clock>,
}

impl AuditLog {
    /// Opens the log in a store, making its tables when they are missing.
    ///
    /// # Errors
    /// [`SqlError`] of the store or its migrations.
    pub async fn open(db: Db, clock: Arc<dyn Clock>) -> Result<Self, SqlError> {
        db.migrate(&MIGRATIONS, clock.wall_micros()).await?;
        let db = db.lane("audit");
        Ok(Self { db, clock })
    }

    /// Writes an entry in a transaction of its own; answers its `seq`.
    ///
    /// # Errors
    /// [`SqlError::Unavailable`] if it could not be made durable.
    pub async fn append(&self, entry: Entry) -> Result<i64, SqlError> {
        let mut tx = self.db.begin().await?;
        let seq = self.append_in(&mut tx, entry).await?;
        tx.commit().await?;
        Ok(seq)
    }

    /// Writes an entry within the caller's transaction, of any lane; answers its `seq`. It comes
    /// last in a transaction: from here to the commit all writers of the log wait, in every
    /// process, so that the chain has one order.
    ///
    /// # Errors
    /// As the store; the caller's transaction must then not be committed.
    pub async fn append_in(&self, tx: &mut Tx, entry: Entry) -> Result<i64, SqlError> {
        let take = "UPDATE audit_head SET seq = seq + 1 WHERE id = 1 RETURNING seq, hash";
        let head = tx.fetch_optional(query(take)).await?.ok_or_else(no_head)?;
        let mut record = Record {
            seq: head.get("seq")?,
            at: Timestamp(self.clock.wall_micros()),
            actor: entry.actor,
            action: entry.action,
            object: entry.object,
            before: entry.before.map(|digest| digest.to_vec()),
            after: entry.after.map(|digest| digest.to_vec()),
            trace_id: entry.trace_id,
            prev_hash: head.get("hash")?,
            hash: Vec::new(),
        };
        record.hash = chain::hash_of(&record).to_vec();
        tx.execute(insert(&record)).await?;
        let advance = query("UPDATE audit_head SET hash = $1 WHERE id = 1").bind(&record.hash[..]);
        tx.execute(advance).await?;
        Ok(record.seq)
    }

    /// Up to `limit` entries that match, newest first, those after `below` in that order.
    ///
    /// # Errors
    /// [`SqlError`] of the store.
    pub async fn page(
        &self,
        filter: &Filter,
        below: Option<Place>,
        limit: usize,
    ) -> Result<Vec<Record>, SqlError> {
        let rows = self.db.fetch_all(select(filter, below, limit)).await?;
        rows.iter().map(record_of).collect()
    }

    /// Reads the whole log and recomputes the chain.
    ///
    /// # Errors
    /// [`SqlError`] of the store; a damaged chain is no error but a [`Verdict`].
    pub async fn verify(&self) -> Result<Verdict, SqlError> {
        chain::verify(&self.db).await
    }
}

fn no_head() -> SqlError {
    SqlError::Column {
        column: "audit_head".to_owned(),
        reason: "the head row is missing".to_owned(),
    }
}

fn insert(record: &Record) -> Query {
    query(
        "INSERT INTO audit_log
             (seq, at, actor, action, object, before, after, trace_id, prev_hash, hash)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
    )
    .bind(record.seq)
    .bind(record.at.micros())
    .bind(&record.actor)
    .bind(&record.action)
    .bind(&record.object)
    .bind(record.before.clone())
    .bind(record.after.clone())
    .bind(record.trace_id.clone())
    .bind(&record.prev_hash[..])
    .bind(&record.hash[..])
}

fn select(filter: &Filter, below: Option<Place>, limit: usize) -> Query {
    let texts = [
        ("actor = ", &filter.actor),
        ("action = ", &filter.action),
        ("object = ", &filter.object),
    ];
    let times = [
        ("at >= ", filter.from.map(Timestamp::micros)),
        ("at < ", filter.to.map(Timestamp::micros)),
    ];
    let mut sql = String::from("SELECT * FROM audit_log WHERE seq > 0");
    let mut args = 0;
    let mut narrow = |condition: &str| {
        args += 1;
        sql.push_str(&format!(" AND {condition}${args}"));
    };
    let given_texts: Vec<&String> = texts
        .iter()
        .filter_map(|(condition, value)| value.as_ref().inspect(|_| narrow(condition)))
        .collect();
    let mut given_numbers: Vec<i64> = times
        .iter()
        .filter_map(|(condition, value)| value.inspect(|_| narrow(condition)))
        .collect();
    if let Some(Place { at, seq }) = below {
        sql.push_str(&format!(" AND (at, seq) < (${}, ${})", args + 1, args + 2));
        given_numbers.extend([at, seq]);
    }
    sql.push_str(&format!(" ORDER BY at DESC, seq DESC LIMIT {limit}"));
    let query = Query::assembled(sql);
    let query = given_texts.into_iter().fold(query, Query::bind);
    given_numbers.into_iter().fold(query, Query::bind)
}

fn record_of(row: &Row) -> Result<Record, SqlError> {
    Ok(Record {
        seq: row.get("seq")?,
        at: Timestamp(row.get("at")?),
        actor: row.get("actor")?,
        action: row.get("action")?,
        object: row.get("object")?,
        before: row.get("before")?,
        after: row.get("after")?,
        trace_id: row.get("trace_id")?,
        prev_hash: row.get("prev_hash")?,
        hash: row.get("hash")?,
    })
}

fn hex_bytes<S: serde::Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&hex::encode(bytes))
}

fn hex_opt<S: serde::Serializer>(
    bytes: &Option<Vec<u8>>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    hex_bytes(bytes.as_deref().unwrap_or_default(), serializer)
}

#[cfg(test)]
mod tests;
