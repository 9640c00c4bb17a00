//! How far each reader of a feed has come, durably.

use crate::sql::{Db, Migration, Migrations, Query, SqlError, Tx, query};

/// The table of this module.
pub const MIGRATIONS: Migrations = Migrations {
    room: "bus",
    steps: &[Migration {
        version: 3,
        name: "bus",
        sqlite: include_str!("../../migrations/sqlite/0003_bus.sql"),
    }],
};

/// Positions of channels: the last sequence number given to each.
#[derive(Debug, Clone)]
pub struct Positions {
    db: Db,
}

impl Positions {
    /// Over the service tables, whose migrations have run.
    pub fn new(db: Db) -> Self {
        Self { db }
    }

    /// The channel's position; `None` for a channel that never saved one.
    ///
    /// # Errors
    /// As [`Db::fetch_all`].
    pub async fn load(&self, channel: &str) -> Result<Option<u64>, SqlError> {
        let select = query("SELECT seq FROM feed_positions WHERE channel = $1").bind(channel);
        let row = self.db.fetch_optional(select).await?;
        row.map(|row| row.get::<i64>("seq").map(i64::unsigned_abs))
            .transpose()
    }

    /// Saves a position; `now` is the wall clock in microseconds.
    ///
    /// # Errors
    /// As [`Db::execute`].
    pub async fn save(&self, channel: &str, seq: u64, now: i64) -> Result<(), SqlError> {
        self.db.execute(save(channel, seq, now)).await.map(drop)
    }

    /// Saves a position together with what else the transaction does.
    ///
    /// # Errors
    /// As [`Tx::execute`].
    pub async fn save_in(tx: &mut Tx, channel: &str, seq: u64, now: i64) -> Result<(), SqlError> {
        tx.execute(save(channel, seq, now)).await.map(drop)
    }
}

fn save(channel: &str, seq: u64, now: i64) -> Query {
    let upsert = "INSERT INTO feed_positions (channel, seq, updated_at) VALUES ($1, $2, $3)
        ON CONFLICT (channel) DO UPDATE SET seq = excluded.seq, updated_at = excluded.updated_at";
    query(upsert)
        .bind(channel)
        .bind(i64::try_from(seq).unwrap_or(i64::MAX))
        .bind(now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn positions_are_kept_by_channel() {
        let db = Db::open_memory().await.expect("opens");
        db.migrate(&MIGRATIONS, 0).await.expect("migrates");
        let positions = Positions::new(db);
        assert_eq!(positions.load("a").await.expect("reads"), None);
        positions.save("a", 7, 1).await.expect("saves");
        positions.save("a", 9, 2).await.expect("saves");
        assert_eq!(positions.load("a").await.expect("reads"), Some(9));
        assert_eq!(positions.load("b").await.expect("reads"), None);
    }
}
