//! Checkpoints, proofs and receipts of the log.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use florin_ledger::proof::tree::BLOCK_LEAVES;
use florin_ledger::proof::{Hash, Tree, TreeError, TreeSource};
use florin_platform::http::problem::{Problem, Status};
use florin_platform::sql::{Db, Row, query};
use parking_lot::Mutex;

use super::append::FIELD;
use super::log;
use crate::Ticketing;
use crate::model::provenance::{Receipt, ReceiptEntry, leaf};
use crate::model::ticket_status::Transition;
use crate::privacy::Person;
use crate::tickets::Ticket;

/// How long a caller waits before asking again for a proof.
const PENDING: std::time::Duration = std::time::Duration::from_secs(10);

/// Roots of complete blocks, as far as this process has read them. They never change.
#[derive(Debug, Default)]
pub struct Blocks(Mutex<Vec<Hash>>);

/// A signed checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// Leaves.
    pub size: u64,
    /// Root over them.
    pub root: Hash,
    /// The signed note.
    pub note: String,
    /// When it was signed, in microseconds.
    pub created_at: i64,
}

/// A placed leaf.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed {
    /// Its place, from 0.
    pub index: u64,
    /// Its bytes.
    pub text: String,
    /// Its hash.
    pub hash: Hash,
}

fn hash(row: &Row, name: &str) -> Result<Hash, Problem> {
    let bytes: Vec<u8> = row.get(name)?;
    bytes
        .try_into()
        .map(Hash)
        .map_err(|_| Problem::internal("a hash of the log"))
}

fn number(row: &Row, name: &str) -> Result<u64, Problem> {
    u64::try_from(row.get::<i64>(name)?).map_err(Problem::internal)
}

fn as_index(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn checkpoint(row: &Row) -> Result<Checkpoint, Problem> {
    Ok(Checkpoint {
        size: number(row, "size")?,
        root: hash(row, "root")?,
        note: row.get("note")?,
        created_at: row.get("created_at")?,
    })
}

/// The last checkpoint; `None` before the first ticket.
///
/// # Errors
/// The store's.
pub async fn latest(db: &Db) -> Result<Option<Checkpoint>, Problem> {
    let text = "SELECT size, root, note, created_at FROM tk_checkpoints
        ORDER BY size DESC LIMIT 1";
    let row = db.fetch_optional(query(text)).await?;
    row.as_ref().map(checkpoint).transpose()
}

/// The checkpoint of a size, if one was signed.
///
/// # Errors
/// The store's.
pub async fn at_size(db: &Db, size: u64) -> Result<Option<Checkpoint>, Problem> {
    let text = "SELECT size, root, note, created_at FROM tk_checkpoints WHERE size = $1";
    let row = db.fetch_optional(query(text).bind(as_index(size))).await?;
    row.as_ref().map(checkpoint).transpose()
}

/// Leaves from a place on, as far as a checkpoint of `size` covers them.
///
/// # Errors
/// The store's.
pub async fn leaves(db: &Db, from: u64, size: u64, limit: usize) -> Result<Vec<Placed>, Problem> {
    let text = "SELECT place, hash, commitment, prev FROM tk_leaves
        WHERE place >= $1 AND place < $2 ORDER BY place LIMIT $3";
    let statement = query(text)
        .bind(as_index(from))
        .bind(as_index(size))
        .bind(limit as i64);
    let rows = db.fetch_all(statement).await?;
    rows.iter().map(placed).collect()
}

fn placed(row: &Row) -> Result<Placed, Problem> {
    let prev: Option<Vec<u8>> = row.get("prev")?;
    let prev = prev.map(|_| hash(row, "prev")).transpose()?;
    let (text, computed) = leaf(&hash(row, "commitment")?, prev.as_ref());
    if computed != hash(row, "hash")? {
        return Err(Problem::internal("a leaf of the log was changed"));
    }
    Ok(Placed {
        index: number(row, "place")?,
        text,
        hash: computed,
    })
}

/// What a few proofs need of the tree, read beforehand.
struct Loaded {
    blocks: Vec<Hash>,
    leaves: BTreeMap<u64, Vec<Hash>>,
}

/// Something that a proof needs was not read.
#[derive(Debug, thiserror::Error)]
#[error("block {0} of the log was not read")]
struct NotRead(u64);

impl TreeSource for &Loaded {
    type Error = NotRead;

    fn level8(&self, index: u64) -> Result<Hash, NotRead> {
        let place = usize::try_from(index).map_err(|_| NotRead(index))?;
        self.blocks.get(place).copied().ok_or(NotRead(index))
    }

    fn leaves(&self, range: Range<u64>) -> Result<Vec<Hash>, NotRead> {
        let block = range.start / BLOCK_LEAVES;
        let start = block * BLOCK_LEAVES;
        let within = (range.start - start) as usize..(range.end - start) as usize;
        self.leaves
            .get(&block)
            .and_then(|leaves| leaves.get(within))
            .map(<[Hash]>::to_vec)
            .ok_or(NotRead(block))
    }
}

/// Reads the blocks in which these leaves lie, and the roots of all complete ones.
async fn load(
    room: &Ticketing,
    near: impl IntoIterator<Item = u64>,
    size: u64,
) -> Result<Loaded, Problem> {
    let mut blocks = room.blocks.0.lock().clone();
    if (blocks.len() as u64) < size / BLOCK_LEAVES {
        let text = "SELECT hash FROM tk_log_blocks WHERE place >= $1 ORDER BY place";
        let statement = query(text).bind(blocks.len() as i64);
        for row in room.store.db.fetch_all(statement).await? {
            blocks.push(hash(&row, "hash")?);
        }
        let mut known = room.blocks.0.lock();
        if blocks.len() > known.len() {
            known.clone_from(&blocks);
        }
    }
    let wanted: BTreeSet<u64> = near
        .into_iter()
        .chain([size.saturating_sub(1)])
        .map(|leaf| leaf / BLOCK_LEAVES)
        .collect();
    let mut leaves = BTreeMap::new();
    for block in wanted {
        let text = "SELECT hash FROM tk_leaves WHERE place >= $1 AND place < $2 ORDER BY place";
        let statement = query(text)
            .bind(as_index(block * BLOCK_LEAVES))
            .bind(as_index((block + 1) * BLOCK_LEAVES));
        let rows = room.store.db.fetch_all(statement).await?;
        let hashes: Result<_, Problem> = rows.iter().map(|row| hash(row, "hash")).collect();
        leaves.insert(block, hashes?);
    }
    Ok(Loaded { blocks, leaves })
}

fn refused(error: TreeError<NotRead>) -> Problem {
    match error {
        TreeError::NoSuchLeaf { .. } | TreeError::BadSizes { .. } => {
            Problem::new(Status::BadRequest, "validation_failed", error.to_string())
        }
        other => Problem::internal(other),
    }
}

/// The audit path of a leaf in the tree of `size` leaves, leaf side first.
///
/// # Errors
/// 400 for a leaf that is not in it, the store's. `size` must be covered by a checkpoint.
pub async fn inclusion(room: &Ticketing, index: u64, size: u64) -> Result<Vec<Hash>, Problem> {
    let loaded = load(room, [index], size).await?;
    Tree::new(&loaded).inclusion(index, size).map_err(refused)
}

/// The proof that the tree of `from` leaves is a prefix of that of `to`.
///
/// # Errors
/// 400 unless 1 ≤ `from` ≤ `to`, the store's. `to` must be covered by a checkpoint.
pub async fn consistency(room: &Ticketing, from: u64, to: u64) -> Result<Vec<Hash>, Problem> {
    let loaded = load(room, [from.saturating_sub(1), from], to).await?;
    Tree::new(&loaded).consistency(from, to).map_err(refused)
}

/// A ticket's leaf as it is stored.
struct Stored {
    placed: Option<Placed>,
    kind: String,
    person: String,
    opening: Vec<u8>,
}

/// The receipt of a ticket. `own`: for its owner, who also sees salt and payload of all leaves
/// since it is his.
///
/// # Errors
/// 409 `checkpoint_pending` while a leaf has no place, the store's.
pub async fn receipt(room: &Ticketing, ticket: &Ticket, own: bool) -> Result<Receipt, Problem> {
    let db = &room.store.db;
    let stored = stored(db, ticket).await?;
    let Some(checkpoint) = latest(db).await? else {
        return Err(pending());
    };
    let covered = |placed: &Placed| placed.index < checkpoint.size;
    let placed: Option<Vec<&Placed>> = stored
        .iter()
        .map(|leaf| leaf.placed.as_ref().filter(|placed| covered(placed)))
        .collect();
    let placed = placed.ok_or_else(pending)?;
    let loaded = load(room, placed.iter().map(|leaf| leaf.index), checkpoint.size).await?;
    let tree = Tree::new(&loaded);
    let persons: Vec<String> = stored.iter().map(|leaf| leaf.person.clone()).collect();
    let persons = room.vault.load(db, &persons).await?;
    let handed_on = Transition::Transferred.as_str();
    let mine_from = stored
        .iter()
        .rposition(|leaf| leaf.kind == handed_on)
        .unwrap_or(0);
    let mut entries = Vec::with_capacity(placed.len());
    for (n, (leaf, placed)) in stored.iter().zip(&placed).enumerate() {
        let shown = own && n >= mine_from;
        let opening = persons
            .get(&leaf.person)
            .filter(|_| shown)
            .and_then(|person| opened(person, &leaf.opening));
        let (salt, payload) = opening.unzip();
        entries.push(ReceiptEntry {
            index: placed.index,
            leaf: BASE64.encode(&placed.text),
            leaf_hash: placed.hash,
            salt,
            payload,
            audit_path: tree
                .inclusion(placed.index, checkpoint.size)
                .map_err(refused)?,
        });
    }
    Ok(Receipt {
        entries,
        checkpoint: checkpoint.note,
        log_key: log::key(room).await?.to_string(),
        anchors: Vec::new(),
    })
}

async fn stored(db: &Db, ticket: &Ticket) -> Result<Vec<Stored>, Problem> {
    let text = "SELECT place, hash, commitment, prev, kind, person_id, opening FROM tk_leaves
        WHERE ticket_id = $1 ORDER BY n";
    let rows = db.fetch_all(query(text).bind(&ticket.id)).await?;
    let read = |row: &Row| {
        let place: Option<i64> = row.get("place")?;
        Ok(Stored {
            placed: place.map(|_| placed(row)).transpose()?,
            kind: row.get("kind")?,
            person: row.get("person_id")?,
            opening: row.get("opening")?,
        })
    };
    rows.iter().map(read).collect()
}

/// Salt and payload; `None` once the person is erased.
fn opened(person: &Person, sealed: &[u8]) -> Option<(String, serde_json::Value)> {
    let text = person.open(FIELD, sealed)?;
    let (salt, payload) = text.split_at_checked(64)?;
    Some((salt.to_owned(), serde_json::from_str(payload).ok()?))
}

fn pending() -> Problem {
    Problem::conflict(
        "checkpoint_pending",
        "The ticket's last step is not covered by a checkpoint yet.",
    )
    .with_retry_after(PENDING)
}
