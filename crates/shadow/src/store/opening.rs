//! What a start makes sure of before anything is written: whose tables these are, and that the
//! end of the log is whole.
//!
//! **Invariants.** A commit that was never acknowledged is cut by the database, which writes
//! whole transactions. Damage anywhere else stops the start and names its place (contract F2):
//! the newest records are chained anew, and every kept checkpoint is compared. What lies further
//! back is verified by the self-check and by `florin shadow rebuild --verify`.

use florin_base::{Clock, IdSource};
use florin_platform::sql::{Db, SqlError, Tx, query};

use super::error::WriteError;
use super::log;
use super::session::{Head, read_head};

/// Records at the end of the log that a start chains anew.
const RECORDS: i64 = 2_000;

/// Why the shadow ledger does not open.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The store.
    #[error(transparent)]
    Store(#[from] SqlError),
    /// A record is not what was written, is missing, or stands behind the end of the log.
    #[error(
        "the shadow log is damaged at record {broken_at}: restore it from a backup; \
         `florin shadow rebuild --verify` tells more"
    )]
    Chain {
        /// The first record that does not fit.
        broken_at: i64,
    },
    /// A row of its own cannot be read.
    #[error(transparent)]
    Damaged(WriteError),
}

impl From<WriteError> for OpenError {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Store(error) => Self::Store(error),
            other => Self::Damaged(other),
        }
    }
}

/// The id of the installation that the tables belong to; made at the first start, whichever
/// process it is.
///
/// # Errors
/// The store's.
pub(super) async fn installation(db: &Db, clock: &dyn Clock) -> Result<String, SqlError> {
    const FIND: &str = "SELECT id FROM shadow_installation WHERE one = 1";
    if let Some(row) = db.fetch_optional(query(FIND)).await? {
        return row.get("id");
    }
    let id = IdSource::new().uuid_v7(clock.wall_micros()).to_string();
    let mut tx = db.begin().await?;
    if let Some(row) = tx.fetch_optional(query(FIND)).await? {
        return row.get("id");
    }
    let insert = query("INSERT INTO shadow_installation (one, id) VALUES (1, $1)");
    tx.execute(insert.bind(&id)).await?;
    tx.commit().await?;
    Ok(id)
}

/// Compares the end of the log with its head, and the log with its checkpoints.
///
/// # Errors
/// [`OpenError::Chain`], else the store's.
pub(super) async fn check_end(db: &Db) -> Result<(), OpenError> {
    // A transaction: nobody appends between the head and the records.
    let mut tx = db.begin().await?;
    let (head, _) = read_head(&mut tx).await?;
    let broken = |broken_at| Err(OpenError::Chain { broken_at });
    if let Some(broken_at) = behind(&mut tx, head).await? {
        return broken(broken_at);
    }
    if let Some(broken_at) = unchained(&mut tx, db.is_shared(), head).await? {
        return broken(broken_at);
    }
    let differs = "SELECT c.log_seq FROM shadow_checkpoints AS c
        LEFT JOIN shadow_log AS l ON l.log_seq = c.log_seq
        WHERE c.log_seq > 0 AND (l.hash IS NULL OR l.hash <> c.hash)
        ORDER BY c.log_seq LIMIT 1";
    match tx.fetch_optional(query(differs)).await? {
        Some(row) => broken(row.get("log_seq")?),
        None => Ok(()),
    }
}

/// A record behind the head: the two are written in one commit.
async fn behind(tx: &mut Tx, head: Head) -> Result<Option<i64>, OpenError> {
    let newest = "SELECT log_seq FROM shadow_log ORDER BY log_seq DESC LIMIT 1";
    let newest: i64 = match tx.fetch_optional(query(newest)).await? {
        Some(row) => row.get("log_seq")?,
        None => 0,
    };
    Ok((newest > head.log_seq).then_some(head.log_seq + 1))
}

/// The first of the newest records that does not follow from the one before it.
async fn unchained(tx: &mut Tx, is_shared: bool, head: Head) -> Result<Option<i64>, OpenError> {
    let first = (head.log_seq - RECORDS).max(0);
    let (mut last, mut hash) = (first, [0; 32]);
    if first > 0 {
        let before = query("SELECT hash FROM shadow_log WHERE log_seq = $1").bind(first);
        let Some(row) = tx.fetch_optional(before).await? else {
            return Ok(Some(first));
        };
        hash = row.get::<Vec<u8>>("hash")?.try_into().unwrap_or([0; 32]);
    }
    let page = log::page(is_shared, first, head.log_seq, RECORDS);
    for record in log::read(tx.fetch_optional(page).await?)? {
        if record.log_seq != last + 1 || record.link(&hash) != record.hash {
            return Ok(Some(last + 1));
        }
        (last, hash) = (record.log_seq, record.hash);
    }
    if last != head.log_seq {
        return Ok(Some(last + 1));
    }
    Ok((hash != head.hash).then_some(head.log_seq.max(1)))
}
