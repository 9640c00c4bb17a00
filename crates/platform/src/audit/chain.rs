//! The hash chain over the audit log and its check.

use sha2::{Digest as _, Sha256};

use super::{Record, record_of};
use crate::sql::{Db, SqlError, query};

/// Separates these hashes from all others that Florin computes.
const DOMAIN: &[u8] = b"florin audit entry 1";

/// Entries read at a time while verifying.
const VERIFY_PAGE: i64 = 1_000;

/// What [`super::AuditLog::verify`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Every entry stands where it was written.
    Whole {
        /// Number of entries.
        entries: i64,
        /// Hash of the last one, in hex; zeros for an empty log. Kept elsewhere it also proves
        /// that nothing was cut off at the end together with the head.
        head: String,
    },
    /// The first place where the log is not what was written.
    Broken {
        /// `seq` of the first wrong entry.
        seq: i64,
        /// What is wrong with it.
        why: Broken,
    },
}

/// How an entry can be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// The numbers have a gap: entries were removed.
    #[error("an entry is missing")]
    Missing,
    /// The entry does not follow the one before it.
    #[error("the entry does not continue the chain")]
    Link,
    /// The entry's content does not fit its hash.
    #[error("the content was changed")]
    Content,
    /// The log ends before or after its head.
    #[error("the end of the log differs from its head")]
    Head,
}

/// The hash of an entry: every field with its length in front, so that no two entries have the
/// same bytes, after the hash of the entry before.
pub(super) fn hash_of(record: &Record) -> [u8; 32] {
    let mut hasher = Sha256::new();
    hasher.update(DOMAIN);
    let mut field = |bytes: Option<&[u8]>| match bytes {
        None => hasher.update([0]),
        Some(bytes) => {
            hasher.update([1]);
            hasher.update((bytes.len() as u64).to_be_bytes());
            hasher.update(bytes);
        }
    };
    field(Some(&record.prev_hash));
    field(Some(&record.seq.to_be_bytes()));
    field(Some(&record.at.micros().to_be_bytes()));
    field(Some(record.actor.as_bytes()));
    field(Some(record.action.as_bytes()));
    field(Some(record.object.as_bytes()));
    field(record.before.as_deref());
    field(record.after.as_deref());
    field(record.trace_id.as_deref().map(str::as_bytes));
    hasher.finalize().into()
}

pub(super) async fn verify(db: &Db) -> Result<Verdict, SqlError> {
    // The head is read first: entries written meanwhile lie behind it and are left out.
    let head = db
        .fetch_optional(query("SELECT seq, hash FROM audit_head WHERE id = 1"))
        .await?;
    let Some(head) = head else {
        return Ok(broken(0, Broken::Head));
    };
    let (end, end_hash): (i64, Vec<u8>) = (head.get("seq")?, head.get("hash")?);
    let (mut seq, mut hash) = (0, vec![0_u8; 32]);
    while seq < end {
        let page = "SELECT * FROM audit_log WHERE seq > $1 AND seq <= $2 ORDER BY seq LIMIT $3";
        let rows = db
            .fetch_all(query(page).bind(seq).bind(end).bind(VERIFY_PAGE))
            .await?;
        if rows.is_empty() {
            return Ok(broken(seq + 1, Broken::Missing));
        }
        for row in &rows {
            let record = record_of(row)?;
            if let Some(why) = fault(&record, seq, &hash) {
                return Ok(broken(seq + 1, why));
            }
            (seq, hash) = (record.seq, record.hash);
        }
    }
    // One statement sees log and head at one moment, also while others append.
    let outside = "SELECT seq FROM audit_log
                   WHERE seq <= 0 OR seq > (SELECT seq FROM audit_head WHERE id = 1) LIMIT 1";
    let stray = db.fetch_optional(query(outside)).await?;
    if hash != end_hash || stray.is_some() {
        return Ok(broken(end, Broken::Head));
    }
    Ok(Verdict::Whole {
        entries: end,
        head: hex::encode(hash),
    })
}

fn fault(record: &Record, previous: i64, hash: &[u8]) -> Option<Broken> {
    if record.seq != previous + 1 {
        Some(Broken::Missing)
    } else if record.prev_hash != hash {
        Some(Broken::Link)
    } else if record.hash != hash_of(record) {
        Some(Broken::Content)
    } else {
        None
    }
}

fn broken(seq: i64, why: Broken) -> Verdict {
    Verdict::Broken { seq, why }
}
