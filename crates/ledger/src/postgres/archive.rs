//! Old months of the journal, written to files and taken out of the database.
//!
//! Balances, identities, account history and the hash chain stay; only the records themselves
//! move. A record that is archived is not found any more: lookups say so, and a call that needs
//! it (the same transfer again, a reversal) is refused as unavailable, never judged without it.
//! [`super::archive_restore`] is the way back.
//!
//! A file ([`super::archive_file`]) holds one month. It is read back and compared before anything
//! is dropped.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use florin_base::Timestamp;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, Row as _};
use tokio::fs::File;
use uuid::Uuid;

use super::{
    Postgres,
    archive_file::{Chunk, Contents, Writer, different, failed, read_back},
    attempt::close,
    partitions::Month,
};

/// Chunks fetched at once.
const PAGE: i64 = 1_000;
/// How often a change of the months is tried while others read the journal.
const TRIES: u32 = 10;
/// Time between two tries.
const PAUSE: Duration = Duration::from_secs(1);
/// SQLSTATE of a lock that was not had in time.
const LOCK_NOT_AVAILABLE: &str = "55P03";

/// A month that was moved to a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Archived {
    /// Its first record.
    pub first_seq: u64,
    /// Its last record.
    pub last_seq: u64,
    /// Ledger time from which it holds records.
    pub from: Timestamp,
    /// Ledger time up to which it holds records, exclusive.
    pub to: Timestamp,
    /// Its file.
    pub file: PathBuf,
    /// Digest of the file.
    pub sha256: [u8; 32],
}

/// Why nothing (more) was archived or restored. Whatever was returned before is done.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// Only a ledger in PostgreSQL has months to archive.
    #[error("an embedded ledger keeps its journal in one piece; archive its directory")]
    Embedded,
    /// The database did not do its part.
    #[error("the ledger's database: {0}")]
    Store(String),
    /// A file could not be written or read.
    #[error("the archive {}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// A file does not hold what it should; nothing was dropped, nothing was taken from it.
    #[error("the archive {} is not what it should be: {what}", path.display())]
    Different {
        /// The file.
        path: PathBuf,
        /// What differs.
        what: String,
    },
    /// The records of a file are not archived, or not any more.
    #[error("the records of {}, from {first_seq} on, are not archived; they may have been restored", path.display())]
    NotArchived {
        /// The file.
        path: PathBuf,
        /// Its first record.
        first_seq: u64,
    },
}

impl From<sqlx::Error> for ArchiveError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.to_string())
    }
}

impl Postgres {
    /// See [`crate::Ledger::archive_before`].
    pub(crate) async fn archive_before(
        &self,
        time: Timestamp,
    ) -> Result<Vec<Archived>, ArchiveError> {
        let mut connection = self.shared.connections.writer().await?;
        alone(&mut connection).await?;
        let (now, names): (i64, Vec<String>) = sqlx::query_as(
            "SELECT recorded_at, ARRAY(SELECT c.relname::text FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid \
             WHERE i.inhparent = 'journal'::regclass) FROM head",
        )
        .fetch_one(&mut connection)
        .await?;
        // A month takes no more records once a later time was recorded.
        let limit = time.0.min(now);
        let mut months: Vec<Month> = names
            .iter()
            .filter_map(|name| Month::of_partition(name))
            .collect();
        months.sort_unstable();
        // The table names the files for whoever looks for them from anywhere.
        let dir = self.dir().join("archives");
        let dir = std::path::absolute(&dir).map_err(|e| failed(&dir, e))?;
        tokio::fs::create_dir_all(&dir)
            .await
            .map_err(|e| failed(&dir, e))?;
        let mut archived = Vec::new();
        for month in months {
            let (Some(from), Some(to)) = (month.start(), month.plus(1).start()) else {
                continue;
            };
            if to.0 > limit {
                break;
            }
            let file = dir.join(format!("{}.archive", month.partition()));
            let ledger = self.ledger_id();
            let draft = file.with_extension("draft");
            let written = write(&mut connection, &month.partition(), &draft, ledger).await?;
            if written.chunks > 0 {
                let read = read_back(&draft, ledger).await?;
                if read != written {
                    let what = format!("{read:?} was read, {written:?} was written");
                    return Err(different(&draft, what));
                }
                keep(&draft, &file, &dir, &written, ledger).await?;
                let done = Archived {
                    first_seq: written.first_seq,
                    last_seq: written.last_seq,
                    from,
                    to,
                    file: file.clone(),
                    sha256: written.sha256,
                };
                detach(&mut connection, &written, &done).await?;
                tracing::info!(file = %file.display(), "a month of the journal was archived");
                archived.push(done);
            } else {
                tokio::fs::remove_file(&draft)
                    .await
                    .map_err(|e| failed(&draft, e))?;
            }
        }
        close(connection).await;
        Ok(archived)
    }
}

/// One at a time: of two that archive, the slower one would write over what the faster one
/// dropped. The session's end gives the turn back.
pub(super) async fn alone(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    sqlx::query("SELECT pg_advisory_lock(hashtext('florin archive ' || current_schema()))")
        .execute(connection)
        .await
        .map(drop)
}

/// Gives a proved file its name, for good: the name and the folder are on disk too.
async fn keep(
    draft: &Path,
    file: &Path,
    dir: &Path,
    written: &Contents,
    ledger: Uuid,
) -> Result<(), ArchiveError> {
    let is_there = tokio::fs::try_exists(file).await;
    if is_there.map_err(|e| failed(file, e))? {
        // A month that was restored leaves its file behind. Any other may be the only copy of
        // what it holds.
        let same = read_back(file, ledger).await;
        if !same.is_ok_and(|held| held == *written) {
            let what = "there is another file of this name already; move it away";
            return Err(different(file, what));
        }
    }
    tokio::fs::rename(draft, file)
        .await
        .map_err(|e| failed(file, e))?;
    for folder in [Some(dir), dir.parent()].into_iter().flatten() {
        let opened = File::open(folder).await.map_err(|e| failed(folder, e))?;
        opened.sync_all().await.map_err(|e| failed(folder, e))?;
    }
    Ok(())
}

/// Writes a partition to a file and syncs it.
async fn write(
    connection: &mut PgConnection,
    partition: &str,
    path: &Path,
    ledger: Uuid,
) -> Result<Contents, ArchiveError> {
    let mut out = Writer::create(path, ledger).await?;
    // The name was made from the number of a month.
    let text = format!(
        "SELECT first_seq, recorded_at, batch, records, entries FROM {partition} WHERE first_seq > $1 \
         ORDER BY first_seq LIMIT $2"
    );
    let mut after = 0i64;
    loop {
        let page = sqlx::query(AssertSqlSafe(text.as_str()))
            .bind(after)
            .bind(PAGE)
            .fetch_all(&mut *connection)
            .await?;
        let Some(last) = page.last() else { break };
        after = last.try_get(0)?;
        for row in &page {
            let chunk = Chunk {
                first_seq: row.try_get(0)?,
                recorded_at: row.try_get(1)?,
                batch: row.try_get(2)?,
                records: row.try_get(3)?,
                entries: row.try_get(4)?,
            };
            out.put(&chunk).await?;
        }
    }
    out.finish().await
}

/// A change of the table `archives`.
pub(super) enum Listing<'a> {
    Add(&'a Contents, &'a Archived),
    Remove(&'a Contents),
}

/// Changes the months and the table `archives` together, while nobody posts. Whoever reads the
/// journal for long, such as a backup, is waited for without holding anybody up.
pub(super) async fn change(
    connection: &mut PgConnection,
    listing: &Listing<'_>,
    months: &str,
) -> Result<(), sqlx::Error> {
    let mut tries = 1;
    loop {
        match try_change(connection, listing, months).await {
            Err(sqlx::Error::Database(error))
                if tries < TRIES && error.code().as_deref() == Some(LOCK_NOT_AVAILABLE) =>
            {
                tries += 1;
                tokio::time::sleep(PAUSE).await;
            }
            done => return done,
        }
    }
}

async fn try_change(
    connection: &mut PgConnection,
    listing: &Listing<'_>,
    months: &str,
) -> Result<(), sqlx::Error> {
    let mut tx = connection.begin().await?;
    sqlx::query("SELECT 1 FROM head FOR UPDATE")
        .execute(&mut *tx)
        .await?;
    sqlx::raw_sql("SET LOCAL lock_timeout = '300ms'")
        .execute(&mut *tx)
        .await?;
    sqlx::raw_sql(AssertSqlSafe(months))
        .execute(&mut *tx)
        .await?;
    let listed = match listing {
        Listing::Add(contents, month) => {
            sqlx::query("INSERT INTO archives VALUES ($1, $2, $3, $4, $5, $6, $7, $8)")
                .bind(contents.first_seq as i64)
                .bind(contents.last_seq as i64)
                .bind(contents.first_batch as i64)
                .bind(contents.last_batch as i64)
                .bind(month.from.0)
                .bind(month.to.0)
                .bind(month.file.display().to_string())
                .bind(month.sha256.as_slice())
        }
        Listing::Remove(contents) => {
            sqlx::query("DELETE FROM archives WHERE first_seq = $1 AND sha256 = $2")
                .bind(contents.first_seq as i64)
                .bind(contents.sha256.as_slice())
        }
    };
    if listed.execute(&mut *tx).await?.rows_affected() != 1 {
        return Err(sqlx::Error::RowNotFound);
    }
    tx.commit().await
}

/// Takes a month out of the database, remembering where it went.
async fn detach(
    connection: &mut PgConnection,
    contents: &Contents,
    month: &Archived,
) -> Result<(), ArchiveError> {
    let partition = Month::of(month.from).partition();
    let text = format!("ALTER TABLE journal DETACH PARTITION {partition}; DROP TABLE {partition}");
    Ok(change(connection, &Listing::Add(contents, month), &text).await?)
}
