//! The file of one archived month: written, and read back with every check it carries.
//!
//! A line that names the format, the ledger's id (16 bytes), then each chunk of the journal as
//! length and CRC-32 of its bytes (4 bytes each, little-endian), first `seq`, ledger time, batch
//! (8 bytes each), count of records (4 bytes), entries ([`crate::record::codec`]). The same month
//! gives the same bytes, whenever it is written.

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use tokio::{
    fs::File,
    io::{AsyncReadExt, AsyncWriteExt, BufReader, BufWriter},
};
use uuid::Uuid;

use super::{ArchiveError, rows};

const FORMAT: &[u8] = b"florin-journal-archive 1\n";
/// Bytes of the ledger's id.
const ID_BYTES: usize = 16;
/// Bytes before a chunk: length and checksum.
const FRAME_BYTES: usize = 8;
/// Bytes before the entries of a chunk.
const CHUNK_HEAD_BYTES: usize = 28;

/// What a month holds, counted twice: as it was written, and as it was read back.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Contents {
    pub first_seq: u64,
    pub last_seq: u64,
    pub first_batch: u64,
    pub last_batch: u64,
    /// Earliest and latest ledger time.
    pub first_at: i64,
    pub last_at: i64,
    pub chunks: u64,
    pub sha256: [u8; 32],
}

impl Contents {
    fn add(&mut self, chunk: &Chunk) -> Result<(), String> {
        let first_seq = chunk.first_seq as u64;
        if self.chunks == 0 {
            self.first_seq = first_seq;
            self.first_batch = chunk.batch as u64;
            self.first_at = chunk.recorded_at;
        } else if first_seq != self.last_seq + 1 || chunk.recorded_at < self.last_at {
            return Err(format!("record {} is missing", self.last_seq + 1));
        }
        if chunk.records < 1 {
            return Err(format!("no records from {first_seq} on"));
        }
        self.last_seq = first_seq + chunk.records as u64 - 1;
        self.last_batch = chunk.batch as u64;
        self.last_at = chunk.recorded_at;
        self.chunks += 1;
        Ok(())
    }
}

/// A row of the journal.
#[derive(Debug)]
pub(super) struct Chunk {
    pub first_seq: i64,
    pub recorded_at: i64,
    pub batch: i64,
    pub records: i32,
    pub entries: Vec<u8>,
}

impl Chunk {
    fn frame(&self) -> Vec<u8> {
        let mut chunk = Vec::with_capacity(CHUNK_HEAD_BYTES + self.entries.len());
        for number in [self.first_seq, self.recorded_at, self.batch] {
            chunk.extend_from_slice(&number.to_le_bytes());
        }
        chunk.extend_from_slice(&self.records.to_le_bytes());
        chunk.extend_from_slice(&self.entries);
        let mut frame = (chunk.len() as u32).to_le_bytes().to_vec();
        frame.extend_from_slice(&crc32fast::hash(&chunk).to_le_bytes());
        frame.extend_from_slice(&chunk);
        frame
    }

    /// Decodes every record, too.
    fn parse(bytes: &[u8]) -> Result<Self, String> {
        let (head, entries) = bytes
            .split_at_checked(CHUNK_HEAD_BYTES)
            .ok_or("a chunk is cut short")?;
        let number = |at: usize| {
            let mut bytes = [0; 8];
            bytes.copy_from_slice(&head[at..at + 8]);
            i64::from_le_bytes(bytes)
        };
        let mut count = [0; 4];
        count.copy_from_slice(&head[24..]);
        let chunk = Self {
            first_seq: number(0),
            recorded_at: number(8),
            batch: number(16),
            records: i32::from_le_bytes(count),
            entries: entries.to_vec(),
        };
        let records = rows::records(
            entries,
            chunk.first_seq as u64,
            chunk.batch as u64,
            chunk.recorded_at,
        );
        let records = records.map_err(|error| error.to_string())?;
        if records.len() as i64 != i64::from(chunk.records) {
            return Err("a count of records".into());
        }
        Ok(chunk)
    }
}

pub(super) fn failed(path: &Path, source: std::io::Error) -> ArchiveError {
    ArchiveError::Io {
        path: path.to_owned(),
        source,
    }
}

pub(super) fn different(path: &Path, what: impl Into<String>) -> ArchiveError {
    ArchiveError::Different {
        path: path.to_owned(),
        what: what.into(),
    }
}

/// Writes a month.
pub(super) struct Writer {
    path: PathBuf,
    out: BufWriter<File>,
    digest: Sha256,
    contents: Contents,
}

impl Writer {
    pub(super) async fn create(path: &Path, ledger: Uuid) -> Result<Self, ArchiveError> {
        let file = File::create(path).await.map_err(|e| failed(path, e))?;
        let mut writer = Self {
            path: path.to_owned(),
            out: BufWriter::new(file),
            digest: Sha256::new(),
            contents: Contents::default(),
        };
        writer.bytes(&[FORMAT, ledger.as_bytes()].concat()).await?;
        Ok(writer)
    }

    async fn bytes(&mut self, bytes: &[u8]) -> Result<(), ArchiveError> {
        self.digest.update(bytes);
        let written = self.out.write_all(bytes).await;
        written.map_err(|e| failed(&self.path, e))
    }

    pub(super) async fn put(&mut self, chunk: &Chunk) -> Result<(), ArchiveError> {
        self.bytes(&chunk.frame()).await?;
        self.contents.add(chunk).map_err(ArchiveError::Store)
    }

    /// Syncs the file.
    pub(super) async fn finish(mut self) -> Result<Contents, ArchiveError> {
        let io = |source| failed(&self.path, source);
        self.out.flush().await.map_err(io)?;
        self.out.get_ref().sync_all().await.map_err(io)?;
        self.contents.sha256 = self.digest.finalize().into();
        Ok(self.contents)
    }
}

/// Reads a month from its first byte to its last.
pub(super) struct Reader {
    path: PathBuf,
    file: BufReader<File>,
    /// Bytes that were not read yet.
    left: u64,
    digest: Sha256,
    contents: Contents,
}

impl Reader {
    /// Opens a file of this ledger.
    pub(super) async fn open(path: &Path, ledger: Uuid) -> Result<Self, ArchiveError> {
        let io = |source| failed(path, source);
        let file = File::open(path).await.map_err(io)?;
        let left = file.metadata().await.map_err(io)?.len();
        let mut reader = Self {
            path: path.to_owned(),
            file: BufReader::new(file),
            left,
            digest: Sha256::new(),
            contents: Contents::default(),
        };
        let head = reader.bytes(FORMAT.len() + ID_BYTES).await;
        let head = head.map_err(|error| match error {
            ArchiveError::Different { .. } => different(path, NO_ARCHIVE),
            other => other,
        })?;
        let (format, id) = head.split_at(FORMAT.len());
        if format != FORMAT {
            return Err(different(path, NO_ARCHIVE));
        }
        if id != ledger.as_bytes() {
            return Err(different(path, "it belongs to another ledger"));
        }
        Ok(reader)
    }

    async fn bytes(&mut self, count: usize) -> Result<Vec<u8>, ArchiveError> {
        // A length that is wrong must not ask for more memory than the file has bytes.
        self.left = self
            .left
            .checked_sub(count as u64)
            .ok_or_else(|| different(&self.path, "it is cut short"))?;
        let mut bytes = vec![0; count];
        let read = self.file.read_exact(&mut bytes).await;
        read.map_err(|e| failed(&self.path, e))?;
        self.digest.update(&bytes);
        Ok(bytes)
    }

    /// The next chunk; `None` at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Chunk>, ArchiveError> {
        if self.left == 0 {
            return Ok(None);
        }
        let frame = self.bytes(FRAME_BYTES).await?;
        let number = |at: usize| {
            let mut bytes = [0; 4];
            bytes.copy_from_slice(&frame[at..at + 4]);
            u32::from_le_bytes(bytes)
        };
        let (length, crc) = (number(0), number(4));
        let bytes = self.bytes(length as usize).await?;
        if crc32fast::hash(&bytes) != crc {
            return Err(different(&self.path, "a checksum is wrong"));
        }
        let wrong = |what: String| different(&self.path, what);
        let chunk = Chunk::parse(&bytes).map_err(wrong)?;
        self.contents.add(&chunk).map_err(wrong)?;
        Ok(Some(chunk))
    }

    /// What was read; call it at the end.
    pub(super) fn contents(mut self) -> Contents {
        self.contents.sha256 = self.digest.finalize().into();
        self.contents
    }
}

const NO_ARCHIVE: &str = "it is no archive of a month";

/// Reads a file as a whole and decodes every record in it.
pub(super) async fn read_back(path: &Path, ledger: Uuid) -> Result<Contents, ArchiveError> {
    let mut reader = Reader::open(path, ledger).await?;
    while reader.next().await?.is_some() {}
    Ok(reader.contents())
}
