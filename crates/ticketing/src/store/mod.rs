//! The tables of this room (all begin with `tk_`), and what every part of it needs to use them.
//!
//! **Boundary.** Rows in, rows out, and the functions that take part in somebody's transaction
//! (`&mut Tx`). What may happen to a row is decided by the part that owns it.
//!
//! **Transactions.** What belongs to one event is written in [`Store::begin_event`], which waits
//! only for other writers of the same event; whatever belongs to several, in [`Store::begin`],
//! which waits for all.

pub mod bulk;
pub mod events;
pub mod holds;
pub mod idempotency;
pub mod images;
pub mod orgs;
pub mod promos;
pub mod schema;
pub mod search;
pub mod stock;
pub mod types;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use florin_base::{Clock, IdSource};
use florin_platform::sql::{Db, SqlError, Tx};
use parking_lot::Mutex;

pub use schema::MIGRATIONS;

/// The lane of this room's transactions.
const LANE: &str = "ticketing";

/// Tables, clock and ids; cheap to clone.
#[derive(Clone)]
pub struct Store {
    /// The tables, in the lane of this room.
    pub db: Db,
    /// Where time comes from.
    pub clock: Arc<dyn Clock>,
    ids: Arc<Mutex<IdSource>>,
    /// Transactions of this process that have ended.
    ended: Arc<AtomicU64>,
}

impl Store {
    /// Over service tables; runs the migrations of this room.
    ///
    /// # Errors
    /// As [`Db::migrate`].
    pub async fn open(db: Db, clock: Arc<dyn Clock>) -> Result<Self, SqlError> {
        let db = db.lane(LANE);
        db.patient()
            .migrate(&MIGRATIONS, clock.wall_micros())
            .await?;
        Ok(Self {
            db,
            clock,
            ids: Arc::new(Mutex::new(IdSource::new())),
            ended: Arc::default(),
        })
    }

    /// Wall clock in microseconds.
    pub fn now(&self) -> i64 {
        self.clock.wall_micros()
    }

    /// A fresh UUIDv7 as text.
    pub fn id(&self) -> String {
        self.uuid().to_string()
    }

    /// A fresh UUIDv7.
    pub fn uuid(&self) -> uuid::Uuid {
        self.ids.lock().uuid_v7(self.now())
    }

    /// How this database wants the parameters of long statements.
    pub fn marks(&self) -> bulk::Marks {
        bulk::Marks::of(self.db.is_shared())
    }

    /// A transaction that waits for all others of this room.
    ///
    /// # Errors
    /// As [`Db::begin`].
    pub async fn begin(&self) -> Result<Tx, SqlError> {
        Ok(self.counted(self.db.indexed().begin().await?))
    }

    /// A transaction about one event: waits for those of the same event only.
    ///
    /// # Errors
    /// As [`Db::begin_keyed`].
    pub async fn begin_event(&self, event_id: &str) -> Result<Tx, SqlError> {
        Ok(self.counted(self.db.indexed().begin_keyed(event_id).await?))
    }

    fn counted(&self, mut tx: Tx) -> Tx {
        tx.count_end(&self.ended);
        tx
    }

    /// How many transactions of this process have ended: what was read while it had one value is
    /// still so, as far as this process goes, while it has it.
    pub fn epoch(&self) -> u64 {
        self.ended.load(Ordering::SeqCst)
    }
}
