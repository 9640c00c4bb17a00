//! Places for waiting leaves, and signed checkpoints over them.
//!
//! All of it happens in a lane of its own: steps of tickets write leaves and never their places,
//! the log writes places and nothing else of theirs.

use florin_base::IdSource;
use florin_ledger::proof::{Frontier, Hash, Level8, Signer, VerifierKey};
use florin_platform::http::problem::Problem;
use florin_platform::sql::{Arg, Db, Row, Tx, query};
use uuid::Uuid;

use crate::Ticketing;
use crate::model::provenance::TicketCheckpoint;
use crate::privacy::{open, seal};
use crate::store::bulk::{self, Marks};

const LANE: &str = "ticketing-log";
const NAME: &str = "tickets";
const WRAP: &str = "provenance/log-key";
/// Leaves that are placed in one transaction.
const PLACED_MAX: i64 = 2_048;

/// The log's own state.
struct Log {
    id: Uuid,
    signer: Signer,
    frontier: Frontier,
}

fn read(room: &Ticketing, row: &Row) -> Result<Log, Problem> {
    let id: String = row.get("log_id")?;
    let sealed: Vec<u8> = row.get("sealed_seed")?;
    let seed = open(&room.secrets.derive(WRAP), &id, &sealed);
    let seed: [u8; 32] = seed
        .and_then(|seed| seed.try_into().ok())
        .ok_or_else(|| Problem::internal("the log's key does not open: the secret was changed"))?;
    let id = Uuid::try_parse(&id).map_err(Problem::internal)?;
    let frontier: Vec<u8> = row.get("frontier")?;
    Ok(Log {
        id,
        signer: Signer::from_seed(&TicketCheckpoint::origin(id), &seed)
            .map_err(Problem::internal)?,
        frontier: Frontier::from_bytes(&frontier).map_err(Problem::internal)?,
    })
}

fn select() -> florin_platform::sql::Query {
    query("SELECT log_id, sealed_seed, frontier FROM tk_log WHERE name = $1").bind(NAME)
}

fn lane(room: &Ticketing) -> Db {
    room.store.db.lane(LANE).patient()
}

/// The log's key, made with the log when there is none yet.
///
/// # Errors
/// The store's.
pub async fn key(room: &Ticketing) -> Result<VerifierKey, Problem> {
    let row = match room.store.db.fetch_optional(select()).await? {
        Some(row) => row,
        None => {
            let mut tx = lane(room).begin().await?;
            let row = found(room, &mut tx).await?;
            tx.commit().await?;
            row
        }
    };
    Ok(read(room, &row)?.signer.verifier_key().clone())
}

/// The log's row, written when it is missing.
async fn found(room: &Ticketing, tx: &mut Tx) -> Result<Row, Problem> {
    if let Some(row) = tx.fetch_optional(select()).await? {
        return Ok(row);
    }
    let id = room.store.id();
    let sealed = seal(&room.secrets.derive(WRAP), &id, &IdSource::random_32());
    let text = "INSERT INTO tk_log (name, log_id, sealed_seed, frontier) VALUES ($1, $2, $3, $4)";
    let statement = query(text)
        .bind(NAME)
        .bind(id)
        .bind(sealed)
        .bind(Frontier::new().to_bytes());
    tx.execute(statement).await?;
    let row = tx.fetch_optional(select()).await?;
    row.ok_or_else(|| Problem::internal("the log was written and is not there"))
}

/// Places all waiting leaves and signs a checkpoint over them; answers the log's size if there
/// is a new one.
///
/// # Errors
/// The store's.
pub async fn checkpoint(room: &Ticketing) -> Result<Option<u64>, Problem> {
    let db = lane(room);
    loop {
        // Most of the time nothing waits: no lock is taken then.
        let waiting = query("SELECT 1 AS one FROM tk_leaves WHERE place IS NULL LIMIT 1");
        if db.fetch_optional(waiting).await?.is_none() {
            return Ok(None);
        }
        let mut tx = db.begin().await?;
        let row = found(room, &mut tx).await?;
        let mut log = read(room, &row)?;
        let placed = place(room, &mut tx, &mut log.frontier).await?;
        let size = log.frontier.size();
        save(room, &mut tx, &log).await?;
        tx.commit().await?;
        if placed < PLACED_MAX {
            return Ok((placed > 0).then_some(size));
        }
    }
}

/// Gives waiting leaves their places. Those with smaller numbers come first, so that a ticket's
/// leaves keep their order: each was written when the one before it was committed or by the same
/// transaction.
async fn place(room: &Ticketing, tx: &mut Tx, frontier: &mut Frontier) -> Result<i64, Problem> {
    let text = "SELECT ticket_id, n, hash FROM tk_leaves WHERE place IS NULL
        ORDER BY n, ticket_id LIMIT $1";
    let waiting = tx.fetch_all(query(text).bind(PLACED_MAX)).await?;
    let (mut places, mut blocks) = (Vec::new(), Vec::new());
    for row in &waiting {
        let hash: Vec<u8> = row.get("hash")?;
        let hash: [u8; 32] = hash
            .try_into()
            .map_err(|_| Problem::internal("hash of a leaf"))?;
        places.push(vec![
            Arg::from(row.get::<String>("ticket_id")?),
            Arg::from(row.get::<i64>("n")?),
            Arg::from(number(frontier.size())?),
        ]);
        if let Some(Level8 { index, hash }) = frontier.push(Hash(hash)) {
            blocks.push(vec![Arg::from(number(index)?), Arg::from(&hash.0)]);
        }
    }
    let marks = Marks::of(room.store.db.is_shared());
    let with = "WITH v (ticket_id, n, place) AS (";
    let update = ") UPDATE tk_leaves SET place = v.place FROM v
        WHERE tk_leaves.ticket_id = v.ticket_id AND tk_leaves.n = v.n";
    bulk::insert(tx, marks, with, update, places).await?;
    let insert = "INSERT INTO tk_log_blocks (place, hash)";
    bulk::insert(tx, marks, insert, "", blocks).await?;
    Ok(waiting.len() as i64)
}

async fn save(room: &Ticketing, tx: &mut Tx, log: &Log) -> Result<(), Problem> {
    let text = "UPDATE tk_log SET frontier = $2 WHERE name = $1";
    let statement = query(text).bind(NAME).bind(log.frontier.to_bytes());
    tx.execute(statement).await?;
    let root = log.frontier.root();
    let note = TicketCheckpoint {
        log_id: log.id,
        size: log.frontier.size(),
        root,
    }
    .sign(&log.signer);
    let text = "INSERT INTO tk_checkpoints (size, root, note, created_at)
        VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING";
    let statement = query(text)
        .bind(number(log.frontier.size())?)
        .bind(root.0)
        .bind(note)
        .bind(room.now());
    tx.execute(statement).await?;
    Ok(())
}

fn number(value: u64) -> Result<i64, Problem> {
    i64::try_from(value).map_err(Problem::internal)
}
