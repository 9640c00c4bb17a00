//! An archived month comes back from its file.
//!
//! The file is read whole and compared with what the table `archives` remembers of it before the
//! database is touched. Its records are then filled into a table beside the journal while
//! postings go on; one short transaction makes that table a month of the journal again and takes
//! its row out of `archives`. What an interrupted restore leaves is a table that nobody reads,
//! and the next one starts over. The file stays where it is.

use std::path::Path;

use florin_base::Timestamp;
use sqlx::{AssertSqlSafe, PgConnection};
use uuid::Uuid;

use super::{
    ArchiveError, Archived, Postgres,
    archive::{Listing, alone, change},
    archive_file::{Chunk, Contents, Reader, different, read_back},
    attempt::close,
    partitions::Month,
};

/// Chunks written at once: about 2 MiB.
const PAGE: usize = 256;

impl Postgres {
    /// See [`crate::Ledger::restore_archive`].
    pub(crate) async fn restore_archive(&self, file: &Path) -> Result<Archived, ArchiveError> {
        let ledger = self.ledger_id();
        let contents = read_back(file, ledger).await?;
        if contents.chunks == 0 {
            return Err(different(file, "it holds no records"));
        }
        let mut connection = self.shared.connections.writer().await?;
        alone(&mut connection).await?;
        let month = listed(&mut connection, file, &contents).await?;
        let filled = fill(&mut connection, ledger, &contents, &month).await;
        let restored = match filled {
            Ok(()) => attach(&mut connection, &contents, &month).await,
            Err(error) => Err(error),
        };
        if restored.is_err() {
            let text = format!("DROP TABLE IF EXISTS {}", draft(&month));
            // Whatever is left is dropped by the next restore.
            drop(
                sqlx::raw_sql(AssertSqlSafe(text))
                    .execute(&mut connection)
                    .await,
            );
        }
        close(connection).await;
        restored?;
        tracing::info!(file = %file.display(), "a month of the journal was restored");
        Ok(month)
    }
}

/// Name of the table that is filled.
fn draft(month: &Archived) -> String {
    format!("restoring_{}", Month::of(month.from).partition())
}

/// What the table `archives` remembers, which must be what the file holds.
async fn listed(
    connection: &mut PgConnection,
    file: &Path,
    contents: &Contents,
) -> Result<Archived, ArchiveError> {
    let row: Option<(i64, i64, i64, i64, i64, Vec<u8>)> = sqlx::query_as(
        "SELECT last_seq, first_batch, last_batch, from_at, to_at, sha256 FROM archives WHERE first_seq = $1",
    )
    .bind(contents.first_seq as i64)
    .fetch_optional(connection)
    .await?;
    let Some((last_seq, first_batch, last_batch, from, to, sha256)) = row else {
        return Err(ArchiveError::NotArchived {
            path: file.to_owned(),
            first_seq: contents.first_seq,
        });
    };
    if sha256 != contents.sha256 {
        let what = "its SHA-256 is not the one that was noted when it was written";
        return Err(different(file, what));
    }
    let noted = (last_seq as u64, first_batch as u64, last_batch as u64);
    let held = (contents.last_seq, contents.first_batch, contents.last_batch);
    let is_within = from <= contents.first_at && contents.last_at < to;
    if noted != held || !is_within {
        return Err(different(file, "it holds other records than were noted"));
    }
    Ok(Archived {
        first_seq: contents.first_seq,
        last_seq: contents.last_seq,
        from: Timestamp(from),
        to: Timestamp(to),
        file: file.to_owned(),
        sha256: contents.sha256,
    })
}

/// Makes the table and fills it.
async fn fill(
    connection: &mut PgConnection,
    ledger: Uuid,
    contents: &Contents,
    month: &Archived,
) -> Result<(), ArchiveError> {
    let draft = draft(month);
    // The check is the partition's own: attaching needs no look at every row.
    let text = format!(
        "DROP TABLE IF EXISTS {draft}; \
         CREATE TABLE {draft} (LIKE journal INCLUDING INDEXES INCLUDING STORAGE, \
             CONSTRAINT of_month CHECK (recorded_at IS NOT NULL AND recorded_at >= {} AND recorded_at < {})) \
             WITH (toast_tuple_target = 8160)",
        month.from.0, month.to.0
    );
    sqlx::raw_sql(AssertSqlSafe(text))
        .execute(&mut *connection)
        .await?;
    let mut reader = Reader::open(&month.file, ledger).await?;
    let mut page = Vec::with_capacity(PAGE);
    while let Some(chunk) = reader.next().await? {
        page.push(chunk);
        if page.len() == PAGE {
            insert(connection, &draft, std::mem::take(&mut page)).await?;
        }
    }
    insert(connection, &draft, page).await?;
    if reader.contents() != *contents {
        return Err(different(&month.file, "it changed while it was read"));
    }
    Ok(())
}

async fn insert(
    connection: &mut PgConnection,
    draft: &str,
    page: Vec<Chunk>,
) -> Result<(), sqlx::Error> {
    let text = format!(
        "INSERT INTO {draft} (first_seq, recorded_at, batch, records, entries) \
         SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::integer[], $5::bytea[])"
    );
    let numbers = |number: fn(&Chunk) -> i64| page.iter().map(number).collect::<Vec<i64>>();
    let (first, at) = (numbers(|c| c.first_seq), numbers(|c| c.recorded_at));
    let batch = numbers(|c| c.batch);
    let records: Vec<i32> = page.iter().map(|chunk| chunk.records).collect();
    let entries: Vec<Vec<u8>> = page.into_iter().map(|chunk| chunk.entries).collect();
    sqlx::query(AssertSqlSafe(text))
        .bind(first)
        .bind(at)
        .bind(batch)
        .bind(records)
        .bind(entries)
        .execute(connection)
        .await
        .map(drop)
}

/// Makes the table a month of the journal.
async fn attach(
    connection: &mut PgConnection,
    contents: &Contents,
    month: &Archived,
) -> Result<(), ArchiveError> {
    let (draft, partition) = (draft(month), Month::of(month.from).partition());
    let text = format!(
        "ALTER TABLE {draft} RENAME TO {partition}; \
         ALTER TABLE journal ATTACH PARTITION {partition} FOR VALUES FROM ({}) TO ({}); \
         ALTER TABLE {partition} DROP CONSTRAINT of_month",
        month.from.0, month.to.0
    );
    Ok(change(connection, &Listing::Remove(contents), &text).await?)
}
