//! Old months of the journal, written to files and taken out of the database.
//!
//! Balances, identities, account history and the hash chain stay; only the records themselves
//! move. A record that is archived is not found any more: lookups say so, and a call that needs
//! it (the same transfer again, a reversal) is refused as unavailable, never judged without it.
//!
//! A file holds one month: a line that names the format, the ledger's id (16 bytes), then each
//! chunk of the journal as length and CRC-32 of its bytes (4 bytes each, little-endian), first
//! `seq`, ledger time, batch (8 bytes each), count of records (4 bytes), entries
//! ([`crate::record::codec`]). It is read back and compared before anything is dropped.

use std::path::{Path, PathBuf};

use florin_base::Timestamp;
use sha2::{Digest, Sha256};
use sqlx::{AssertSqlSafe, PgConnection, Row as _};
use tokio::{
    fs::File,
    io::{AsyncReadExt, AsyncWriteExt, BufReader, BufWriter},
};
use uuid::Uuid;

use super::{Postgres, attempt::close, partitions::Month, rows};

const FORMAT: &[u8] = b"florin-journal-archive 1\n";
/// Chunks fetched at once.
const PAGE: i64 = 1_000;
/// Bytes before the entries of a chunk.
const CHUNK_HEAD_BYTES: usize = 28;

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

/// Why nothing (more) was archived. Whatever was returned before is archived.
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
    /// What was read back is not what the database has; nothing was dropped.
    #[error("the archive {} does not hold what was written: {what}", path.display())]
    Different {
        /// The file.
        path: PathBuf,
        /// What differs.
        what: String,
    },
}

impl From<sqlx::Error> for ArchiveError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.to_string())
    }
}

/// What a month holds, counted twice: as it was written, and as it was read back.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Contents {
    first_seq: u64,
    last_seq: u64,
    first_batch: u64,
    last_batch: u64,
    chunks: u64,
    sha256: [u8; 32],
}

impl Contents {
    fn add(&mut self, first_seq: u64, batch: u64, records: u64) -> Result<(), String> {
        if self.chunks == 0 {
            self.first_seq = first_seq;
            self.first_batch = batch;
        } else if first_seq != self.last_seq + 1 {
            return Err(format!("record {} is missing", self.last_seq + 1));
        }
        self.last_seq = first_seq + records - 1;
        self.last_batch = batch;
        self.chunks += 1;
        Ok(())
    }
}

impl Postgres {
    /// See [`crate::Ledger::archive_before`].
    pub(crate) async fn archive_before(
        &self,
        time: Timestamp,
    ) -> Result<Vec<Archived>, ArchiveError> {
        let mut connection = self.shared.connections.writer().await?;
        // One at a time: of two, the slower one would write over what the faster one dropped.
        sqlx::query("SELECT pg_advisory_lock(hashtext('florin archive ' || current_schema()))")
            .execute(&mut connection)
            .await?;
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
        let dir = self.dir().join("archives");
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
                    return Err(ArchiveError::Different { path: draft, what });
                }
                keep(&draft, &file, &dir).await?;
                let month = Archived {
                    first_seq: written.first_seq,
                    last_seq: written.last_seq,
                    from,
                    to,
                    file: file.clone(),
                    sha256: written.sha256,
                };
                detach(&mut connection, &written, &month).await?;
                tracing::info!(file = %file.display(), "a month of the journal was archived");
                archived.push(month);
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

fn failed(path: &Path, source: std::io::Error) -> ArchiveError {
    ArchiveError::Io {
        path: path.to_owned(),
        source,
    }
}

/// Gives a proved file its name, for good: the name and the folder are on disk too.
async fn keep(draft: &Path, file: &Path, dir: &Path) -> Result<(), ArchiveError> {
    if tokio::fs::try_exists(file)
        .await
        .map_err(|e| failed(file, e))?
    {
        // It may be the only copy of what it holds.
        return Err(ArchiveError::Different {
            path: file.to_owned(),
            what: "there is a file of this name already; move it away".into(),
        });
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
    let io = |source| failed(path, source);
    let file = File::create(path).await.map_err(io)?;
    let mut out = BufWriter::new(file);
    let mut digest = Sha256::new();
    let mut contents = Contents::default();
    let head = [FORMAT, ledger.as_bytes()].concat();
    digest.update(&head);
    out.write_all(&head).await.map_err(io)?;
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
            let (first, at, batch): (i64, i64, i64) =
                (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
            let records: i32 = row.try_get(3)?;
            let entries: &[u8] = row.try_get(4)?;
            let mut chunk = Vec::with_capacity(CHUNK_HEAD_BYTES + entries.len());
            for number in [first, at, batch] {
                chunk.extend_from_slice(&number.to_le_bytes());
            }
            chunk.extend_from_slice(&records.to_le_bytes());
            chunk.extend_from_slice(entries);
            let mut frame = (chunk.len() as u32).to_le_bytes().to_vec();
            frame.extend_from_slice(&crc32fast::hash(&chunk).to_le_bytes());
            frame.extend_from_slice(&chunk);
            digest.update(&frame);
            out.write_all(&frame).await.map_err(io)?;
            contents
                .add(first as u64, batch as u64, records as u64)
                .map_err(ArchiveError::Store)?;
        }
    }
    out.flush().await.map_err(io)?;
    out.get_ref().sync_all().await.map_err(io)?;
    contents.sha256 = digest.finalize().into();
    Ok(contents)
}

/// Reads a file from its first byte to its last and decodes every record in it.
async fn read_back(path: &Path, ledger: Uuid) -> Result<Contents, ArchiveError> {
    let io = |source| failed(path, source);
    let different = |what: String| ArchiveError::Different {
        path: path.to_owned(),
        what,
    };
    let mut file = BufReader::new(File::open(path).await.map_err(io)?);
    let mut digest = Sha256::new();
    let mut contents = Contents::default();
    let mut head = vec![0; FORMAT.len() + 16];
    file.read_exact(&mut head).await.map_err(io)?;
    if head != [FORMAT, ledger.as_bytes()].concat() {
        return Err(different("another format or ledger".into()));
    }
    digest.update(&head);
    let mut frame_head = [0; 8];
    loop {
        match file.read_exact(&mut frame_head).await {
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => break,
            Err(error) => return Err(io(error)),
        }
        let [a, b, c, d, crc @ ..] = frame_head;
        let mut chunk = vec![0; u32::from_le_bytes([a, b, c, d]) as usize];
        file.read_exact(&mut chunk).await.map_err(io)?;
        digest.update(frame_head);
        digest.update(&chunk);
        if crc32fast::hash(&chunk) != u32::from_le_bytes(crc) {
            return Err(different("a checksum".into()));
        }
        let (numbers, entries) = chunk
            .split_at_checked(CHUNK_HEAD_BYTES)
            .ok_or_else(|| different("a chunk is cut short".into()))?;
        let number = |at: usize| {
            let mut bytes = [0; 8];
            bytes.copy_from_slice(&numbers[at..at + 8]);
            i64::from_le_bytes(bytes)
        };
        let (first, at, batch) = (number(0) as u64, number(8), number(16) as u64);
        let records =
            rows::records(entries, first, batch, at).map_err(|e| different(e.to_string()))?;
        contents
            .add(first, batch, records.len() as u64)
            .map_err(different)?;
    }
    contents.sha256 = digest.finalize().into();
    Ok(contents)
}

/// Takes a month out of the database, remembering where it went.
async fn detach(
    connection: &mut PgConnection,
    contents: &Contents,
    month: &Archived,
) -> Result<(), ArchiveError> {
    use sqlx::Connection as _;
    let partition = Month::of(month.from).partition();
    let mut tx = connection.begin().await?;
    sqlx::query("SELECT 1 FROM head FOR UPDATE")
        .execute(&mut *tx)
        .await?;
    sqlx::query("INSERT INTO archives VALUES ($1, $2, $3, $4, $5, $6, $7, $8)")
        .bind(contents.first_seq as i64)
        .bind(contents.last_seq as i64)
        .bind(contents.first_batch as i64)
        .bind(contents.last_batch as i64)
        .bind(month.from.0)
        .bind(month.to.0)
        .bind(month.file.display().to_string())
        .bind(month.sha256.as_slice())
        .execute(&mut *tx)
        .await?;
    let text = format!("ALTER TABLE journal DETACH PARTITION {partition}; DROP TABLE {partition}");
    sqlx::raw_sql(AssertSqlSafe(text)).execute(&mut *tx).await?;
    tx.commit().await?;
    Ok(())
}
