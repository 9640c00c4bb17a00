//! How far each reader of a feed has come, durably.
//!
//! A position moves only from where its reader saw it last: of two readers of one channel the
//! late one finds it moved, and stops.

use crate::sql::{Db, Migration, Migrations, Query, SqlError, Tx, query};

/// The lane of this module's own transactions.
pub(super) const LANE: &str = "bus";

/// The tables of this module.
pub const MIGRATIONS: Migrations = Migrations {
    room: "bus",
    steps: &[
        Migration {
            version: 3,
            name: "bus",
            sqlite: include_str!("../../migrations/sqlite/0003_bus.sql"),
            postgres: include_str!("../../migrations/postgres/0003_bus.sql"),
        },
        Migration {
            version: 10,
            name: "bus_groups",
            sqlite: include_str!("../../migrations/sqlite/0010_bus_groups.sql"),
            postgres: include_str!("../../migrations/postgres/0010_bus_groups.sql"),
        },
    ],
};

/// Positions of channels: the last sequence number given to each.
#[derive(Debug, Clone)]
pub struct Positions {
    db: Db,
}

impl Positions {
    /// Over the service tables, whose migrations have run.
    pub fn new(db: Db) -> Self {
        Self { db: db.lane(LANE) }
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

    /// Saves a position wherever it stood; `now` is the wall clock in microseconds. For people
    /// who send a reader back to where they want it.
    ///
    /// # Errors
    /// As [`Db::execute`].
    pub async fn save(&self, channel: &str, seq: u64, now: i64) -> Result<(), SqlError> {
        self.db.execute(save(channel, seq, now)).await.map(drop)
    }

    /// As [`Positions::save`], together with what else the transaction does.
    ///
    /// # Errors
    /// As [`Tx::execute`].
    pub async fn save_in(tx: &mut Tx, channel: &str, seq: u64, now: i64) -> Result<(), SqlError> {
        tx.execute(save(channel, seq, now)).await.map(drop)
    }

    /// Moves a position on from where its reader saw it last (0 before the first time). False:
    /// it stands elsewhere, and nothing was changed.
    ///
    /// # Errors
    /// As [`Db::execute`].
    pub async fn advance(
        &self,
        channel: &str,
        from: u64,
        to: u64,
        now: i64,
    ) -> Result<bool, SqlError> {
        let upsert = "INSERT INTO feed_positions (channel, seq, updated_at) VALUES ($1, $2, $3)
            ON CONFLICT (channel)
            DO UPDATE SET seq = excluded.seq, updated_at = excluded.updated_at
            WHERE feed_positions.seq = $4";
        let upsert = query(upsert)
            .bind(channel)
            .bind(signed(to))
            .bind(now)
            .bind(signed(from));
        Ok(self.db.execute(upsert).await? == 1)
    }
}

fn save(channel: &str, seq: u64, now: i64) -> Query {
    let upsert = "INSERT INTO feed_positions (channel, seq, updated_at) VALUES ($1, $2, $3)
        ON CONFLICT (channel)
        DO UPDATE SET seq = excluded.seq, updated_at = excluded.updated_at";
    query(upsert).bind(channel).bind(signed(seq)).bind(now)
}

fn signed(seq: u64) -> i64 {
    i64::try_from(seq).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn positions() -> Positions {
        let db = Db::open_memory().await.expect("opens");
        db.migrate(&MIGRATIONS, 0).await.expect("migrates");
        Positions::new(db)
    }

    #[tokio::test]
    async fn positions_are_kept_by_channel() {
        let positions = positions().await;
        assert_eq!(positions.load("a").await.expect("reads"), None);
        positions.save("a", 7, 1).await.expect("saves");
        positions.save("a", 9, 2).await.expect("saves");
        assert_eq!(positions.load("a").await.expect("reads"), Some(9));
        assert_eq!(positions.load("b").await.expect("reads"), None);
    }

    #[tokio::test]
    async fn a_reader_that_was_overtaken_finds_out() {
        let positions = positions().await;
        assert!(positions.advance("a", 0, 5, 1).await.expect("saves"));
        assert!(positions.advance("a", 5, 9, 2).await.expect("saves"));
        assert!(
            !positions.advance("a", 5, 7, 3).await.expect("answers"),
            "stands at 9"
        );
        assert_eq!(positions.load("a").await.expect("reads"), Some(9));
    }
}
