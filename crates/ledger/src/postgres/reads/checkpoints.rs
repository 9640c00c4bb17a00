//! Checkpoints and their keys in the database, shared by all replicas (contract A9).
//!
//! Whoever makes a checkpoint holds a lock of the schema while it does, so that numbers have no
//! gaps and each is signed once. The key: the secret in configuration, when there is one; else
//! one that was generated at the first start and is kept in `checkpoint_keys`, where every backup
//! of the database has it and everybody who may read that table can sign.

use std::sync::Arc;

use florin_base::{IdSource, Secret, Timestamp};
use sqlx::{Connection as _, PgConnection, Row as _, postgres::PgRow};
use uuid::Uuid;

use super::store::Store;
use crate::{
    checkpoints::{CheckpointError, KeyValidity, Shelf},
    proof::{Checkpoint, CheckpointBody, Signer},
};

/// Name of the lock under which checkpoints are made ("chkp" in ASCII); its second half is the
/// schema's.
const LOCK: i32 = 0x6368_6b70;

type Result<T> = std::result::Result<T, CheckpointError>;

fn broken(error: impl std::fmt::Display) -> CheckpointError {
    CheckpointError::Shelf(error.to_string())
}

/// See the module text.
pub(super) struct PgShelf {
    store: Arc<Store>,
    name: String,
    /// The secret of configuration.
    seed: Option<Secret<[u8; 32]>>,
}

impl std::fmt::Debug for PgShelf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PgShelf({}, secret redacted)", self.name)
    }
}

/// A secret written as 64 hex digits.
pub(super) fn seed_of(hex: &Secret<String>) -> std::result::Result<Secret<[u8; 32]>, String> {
    let mut seed = [0; 32];
    hex::decode_to_slice(hex.expose().trim(), &mut seed)
        .map_err(|_| "the checkpoint key must be 64 hex digits".to_owned())?;
    Ok(Secret::new(seed))
}

impl PgShelf {
    /// The checkpoints of a ledger; makes a key on first use, and lists the configured one.
    pub(super) fn open(
        store: Arc<Store>,
        ledger_id: Uuid,
        name: Option<&str>,
        seed: Option<Secret<[u8; 32]>>,
    ) -> Self {
        let name = name.map_or_else(|| CheckpointBody::origin(ledger_id), str::to_owned);
        Self { store, name, seed }
    }

    /// Lists the key in use, so that it can be asked for before the first checkpoint.
    pub(super) async fn prepare(&self, now: Timestamp) -> Result<()> {
        let mut connection = self.writer().await?;
        let mut tx = connection.begin().await.map_err(broken)?;
        lock(&mut tx).await?;
        key_in_use(&mut tx, &self.name, self.seed.as_ref(), now).await?;
        tx.commit().await.map_err(broken)
    }

    async fn writer(&self) -> Result<PgConnection> {
        let connections = &self.store.shared.connections;
        connections.writer().await.map_err(broken)
    }

    fn now(&self) -> Timestamp {
        Timestamp(self.store.shared.clock.wall_micros())
    }

    fn block<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        let done = self.store.block(async move { Ok(work.await) });
        done.map_err(broken)?
    }

    fn find(&self, sql: &'static str, number: u64, limit: usize) -> Result<Vec<Checkpoint>> {
        let pool = self.store.primary.clone();
        self.block(async move {
            let found = sqlx::query(sql)
                .bind(i64::try_from(number).unwrap_or(i64::MAX))
                .bind(limit as i64)
                .fetch_all(&pool)
                .await
                .map_err(broken)?;
            found.iter().map(checkpoint).collect()
        })
    }
}

fn checkpoint(row: &PgRow) -> Result<Checkpoint> {
    let body: &str = row.try_get(0).map_err(broken)?;
    serde_json::from_str(body).map_err(broken)
}

async fn lock(connection: &mut PgConnection) -> Result<()> {
    sqlx::query("SELECT pg_advisory_xact_lock($1, hashtext(current_schema()))")
        .bind(LOCK)
        .execute(connection)
        .await
        .map_err(broken)?;
    Ok(())
}

/// The key that signs now. Lists it when it is another one than before, which ends the validity
/// of that.
async fn key_in_use(
    connection: &mut PgConnection,
    name: &str,
    configured: Option<&Secret<[u8; 32]>>,
    now: Timestamp,
) -> Result<Signer> {
    let last = sqlx::query(
        "SELECT key, seed FROM checkpoint_keys WHERE valid_until IS NULL ORDER BY no DESC LIMIT 1",
    )
    .fetch_optional(&mut *connection)
    .await
    .map_err(broken)?;
    let (listed, kept): (Option<String>, Option<Vec<u8>>) = match &last {
        Some(row) => (
            row.try_get(0).map_err(broken)?,
            row.try_get(1).map_err(broken)?,
        ),
        None => (None, None),
    };
    let kept = kept.and_then(|seed| <[u8; 32]>::try_from(seed).ok());
    let (seed, generated) = match (configured, kept) {
        (Some(seed), _) => (*seed.expose(), false),
        (None, Some(seed)) => (seed, true),
        (None, None) => (IdSource::random_32(), true),
    };
    let signer = Signer::from_seed(name, &seed)?;
    if listed.is_none_or(|listed| listed != signer.verifier_key().to_string()) {
        enlist(connection, &signer, generated.then_some(seed), now).await?;
    }
    Ok(signer)
}

async fn enlist(
    connection: &mut PgConnection,
    signer: &Signer,
    seed: Option<[u8; 32]>,
    now: Timestamp,
) -> Result<()> {
    sqlx::query(
        "UPDATE checkpoint_keys SET valid_until = GREATEST($1, valid_from) WHERE valid_until IS NULL",
    )
    .bind(now.0)
    .execute(&mut *connection)
    .await
    .map_err(broken)?;
    sqlx::query(
        "INSERT INTO checkpoint_keys (no, key, seed, valid_from)
         SELECT COALESCE(max(no), 0) + 1, $1, $2, $3 FROM checkpoint_keys",
    )
    .bind(signer.verifier_key().to_string())
    .bind(seed.map(|seed| seed.to_vec()))
    .bind(now.0)
    .execute(&mut *connection)
    .await
    .map_err(broken)?;
    Ok(())
}

/// Signs a statement as the next checkpoint, unless the newest one says as much.
async fn make(
    connection: &mut PgConnection,
    name: &str,
    seed: Option<&Secret<[u8; 32]>>,
    body: &CheckpointBody,
    now: Timestamp,
) -> Result<Checkpoint> {
    let newest = sqlx::query("SELECT body FROM checkpoints ORDER BY number DESC LIMIT 1")
        .fetch_optional(&mut *connection)
        .await
        .map_err(broken)?;
    let newest = newest.as_ref().map(checkpoint).transpose()?;
    let number = newest.as_ref().map_or(1, |newest| newest.number + 1);
    if let Some(newest) = newest {
        // Another replica was faster: what it stated covers this.
        if newest.tree_size >= body.tree_size {
            return Ok(newest);
        }
        if newest.batch >= body.batch {
            let what = "its batch does not grow";
            return Err(CheckpointError::OutOfOrder { number, what });
        }
    }
    let signer = key_in_use(connection, name, seed, now).await?;
    let made = Checkpoint::sign(number, body, &[&signer]);
    let text = serde_json::to_string(&made).map_err(broken)?;
    sqlx::query("INSERT INTO checkpoints (number, tree_size, batch, body) VALUES ($1, $2, $3, $4)")
        .bind(made.number as i64)
        .bind(made.tree_size as i64)
        .bind(made.batch as i64)
        .bind(text)
        .execute(connection)
        .await
        .map_err(broken)?;
    Ok(made)
}

impl Shelf for PgShelf {
    fn make(&self, body: &CheckpointBody) -> Result<Checkpoint> {
        let (body, name, now) = (*body, self.name.clone(), self.now());
        let (seed, store) = (self.seed.clone(), self.store.clone());
        self.block(async move {
            let mut connection = store.shared.connections.writer().await.map_err(broken)?;
            let mut tx = connection.begin().await.map_err(broken)?;
            lock(&mut tx).await?;
            let made = make(&mut tx, &name, seed.as_ref(), &body, now).await?;
            tx.commit().await.map_err(broken)?;
            Ok(made)
        })
    }

    fn count(&self) -> Result<u64> {
        let newest = self.list_newest_first(u64::MAX, 1)?;
        Ok(newest.first().map_or(0, |newest| newest.number))
    }

    fn get(&self, number: u64) -> Result<Option<Checkpoint>> {
        let found = self.find(
            "SELECT body FROM checkpoints WHERE number = $1 LIMIT $2",
            number,
            1,
        )?;
        Ok(found.into_iter().next())
    }

    fn covering(&self, seq: u64) -> Result<Option<Checkpoint>> {
        let found = self.find(
            "SELECT body FROM checkpoints WHERE tree_size >= $1 ORDER BY tree_size, number LIMIT $2",
            seq,
            1,
        )?;
        Ok(found.into_iter().next())
    }

    fn list_newest_first(&self, before: u64, limit: usize) -> Result<Vec<Checkpoint>> {
        self.find(
            "SELECT body FROM checkpoints WHERE number < $1 ORDER BY number DESC LIMIT $2",
            before,
            limit,
        )
    }

    fn keys(&self) -> Result<Vec<KeyValidity>> {
        let pool = self.store.primary.clone();
        self.block(async move {
            let found: Vec<(String, i64, Option<i64>)> = sqlx::query_as(
                "SELECT key, valid_from, valid_until FROM checkpoint_keys ORDER BY no",
            )
            .fetch_all(&pool)
            .await
            .map_err(broken)?;
            found
                .into_iter()
                .map(|(key, from, until)| {
                    Ok(KeyValidity {
                        key: key.parse().map_err(broken)?,
                        valid_from: Timestamp(from),
                        valid_until: until.map(Timestamp),
                    })
                })
                .collect()
        })
    }

    fn rotate(&self, now: Timestamp) -> Result<KeyValidity> {
        if self.seed.is_some() {
            let what = "the key is configured: change it there";
            return Err(CheckpointError::Shelf(what.into()));
        }
        let (name, store) = (self.name.clone(), self.store.clone());
        self.block(async move {
            let mut connection = store.shared.connections.writer().await.map_err(broken)?;
            let mut tx = connection.begin().await.map_err(broken)?;
            lock(&mut tx).await?;
            let seed = IdSource::random_32();
            let signer = Signer::from_seed(&name, &seed)?;
            enlist(&mut tx, &signer, Some(seed), now).await?;
            tx.commit().await.map_err(broken)?;
            Ok(KeyValidity {
                key: signer.verifier_key().clone(),
                valid_from: now,
                valid_until: None,
            })
        })
    }
}
