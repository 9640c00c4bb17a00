//! Who publishes a topic of the feed: one process at a time, also when several run the readers.
//!
//! A holder counts its `beat` up. A contender that has seen the same epoch and beat for [`TTL`]
//! by its own clock succeeds with the next epoch, so that no two machines' wall clocks need to
//! agree. A holder that could not count for two thirds of [`TTL`] no longer trusts its lease:
//! it stops before anybody may succeed it.

use std::time::Duration;

use tokio::time::Instant;

use super::positions::LANE;
use crate::sql::{Db, Row, SqlError, query};

/// A lease whose beat stands still for so long is free.
pub const TTL: Duration = Duration::from_secs(15);
/// Time between two beats, and between two looks of a contender.
const BEAT: Duration = Duration::from_secs(3);

/// How this process gets leases.
#[derive(Debug, Clone)]
pub enum Leases {
    /// Only this process can publish: it holds the lock of an embedded ledger. Every lease is
    /// granted at once.
    Sole,
    /// Several processes share the service tables.
    Shared {
        /// The tables.
        db: Db,
        /// Name of this process; never the same twice.
        holder: String,
    },
}

/// A lease, held or wanted.
#[derive(Debug)]
pub struct Lease {
    leases: Leases,
    name: String,
    held: Option<Held>,
    seen: Option<Seen>,
}

#[derive(Debug, Clone, Copy)]
struct Held {
    epoch: i64,
    beat: i64,
    /// When the last successful beat was begun.
    since: Instant,
}

#[derive(Debug, Clone, Copy)]
struct Seen {
    epoch: i64,
    beat: i64,
    since: Instant,
}

impl Leases {
    /// The lease of this name, not held yet.
    pub fn lease(&self, name: impl Into<String>) -> Lease {
        let leases = match self {
            Self::Sole => Self::Sole,
            Self::Shared { db, holder } => Self::Shared {
                db: db.lane(LANE),
                holder: holder.clone(),
            },
        };
        Lease {
            leases,
            name: name.into(),
            held: None,
            seen: None,
        }
    }
}

impl Lease {
    /// Waits until the lease is held. `now` is the wall clock in microseconds, for people who
    /// read the table. Failures of the tables are waited out and logged.
    pub async fn acquire(&mut self, now: impl Fn() -> i64) {
        loop {
            match self.try_acquire(now()).await {
                Ok(true) => return,
                Ok(false) => {}
                Err(error) => {
                    tracing::warn!(lease = self.name, %error, "the lease could not be looked at; trying again");
                }
            }
            tokio::time::sleep(BEAT).await;
        }
    }

    /// Takes the lease if it is free, or goes on holding it.
    ///
    /// # Errors
    /// As [`Db::execute`].
    pub async fn try_acquire(&mut self, now: i64) -> Result<bool, SqlError> {
        let Leases::Shared { db, holder } = self.leases.clone() else {
            return Ok(true);
        };
        if self.held.is_some() {
            return self.check(now).await;
        }
        let begun = Instant::now();
        let Some(row) = self.read(&db).await? else {
            let first = "INSERT INTO bus_leases (name, holder, epoch, beat, updated_at)
                VALUES ($1, $2, 1, 0, $3) ON CONFLICT (name) DO NOTHING";
            let first = query(first).bind(&self.name).bind(&holder).bind(now);
            let got = db.execute(first).await? == 1;
            self.held = got.then_some(Held {
                epoch: 1,
                beat: 0,
                since: begun,
            });
            return Ok(got);
        };
        let (epoch, beat) = (row.get::<i64>("epoch")?, row.get::<i64>("beat")?);
        let given_back = row.get::<String>("holder")?.is_empty();
        if !given_back && !self.stands_still(epoch, beat) {
            return Ok(false);
        }
        let succeed = "UPDATE bus_leases SET holder = $2, epoch = $3, beat = 0, updated_at = $4
            WHERE name = $1 AND epoch = $5 AND beat = $6";
        let succeed = query(succeed)
            .bind(&self.name)
            .bind(&holder)
            .bind(epoch + 1)
            .bind(now)
            .bind(epoch)
            .bind(beat);
        let got = db.execute(succeed).await? == 1;
        self.seen = None;
        self.held = got.then_some(Held {
            epoch: epoch + 1,
            beat: 0,
            since: begun,
        });
        Ok(got)
    }

    /// Whether the lease is still held. Beats when the last beat is some time ago, so that a
    /// holder calls this before each thing it does and whenever it has nothing to do. Without
    /// the tables it holds until two thirds of [`TTL`] have passed.
    ///
    /// # Errors
    /// As [`Db::execute`], when it is no longer sure.
    pub async fn check(&mut self, now: i64) -> Result<bool, SqlError> {
        match self.held {
            Some(held) if held.since.elapsed() < BEAT => Ok(true),
            _ => self.beat(now).await,
        }
    }

    /// As [`Lease::check`], and beats in any case.
    ///
    /// # Errors
    /// As [`Lease::check`].
    pub async fn beat(&mut self, now: i64) -> Result<bool, SqlError> {
        let Leases::Shared { db, .. } = &self.leases else {
            return Ok(true);
        };
        let Some(held) = self.held else {
            return Ok(false);
        };
        let begun = Instant::now();
        let update = "UPDATE bus_leases SET beat = $3, updated_at = $4
            WHERE name = $1 AND epoch = $2 AND holder <> ''";
        let update = query(update)
            .bind(&self.name)
            .bind(held.epoch)
            .bind(held.beat + 1)
            .bind(now);
        match db.execute(update).await {
            Ok(1) => {
                self.held = Some(Held {
                    epoch: held.epoch,
                    beat: held.beat + 1,
                    since: begun,
                });
                Ok(true)
            }
            Ok(_) => {
                self.held = None;
                Ok(false)
            }
            Err(_) if held.since.elapsed() < TTL / 3 * 2 => Ok(true),
            Err(error) => {
                self.held = None;
                Err(error)
            }
        }
    }

    /// Gives the lease back, so that the next one need not wait.
    pub async fn release(&mut self, now: i64) {
        let (Leases::Shared { db, .. }, Some(held)) = (&self.leases, self.held.take()) else {
            return;
        };
        let free = "UPDATE bus_leases SET holder = '', updated_at = $3
            WHERE name = $1 AND epoch = $2";
        let free = query(free).bind(&self.name).bind(held.epoch).bind(now);
        if let Err(error) = db.execute(free).await {
            tracing::warn!(lease = self.name, %error, "the lease could not be given back; it runs out");
        }
    }

    /// How often a holder has to call [`Lease::check`]; `None`: never.
    pub const fn rhythm(&self) -> Option<Duration> {
        match self.leases {
            Leases::Sole => None,
            Leases::Shared { .. } => Some(BEAT),
        }
    }

    async fn read(&self, db: &Db) -> Result<Option<Row>, SqlError> {
        let select = "SELECT holder, epoch, beat FROM bus_leases WHERE name = $1";
        db.fetch_optional(query(select).bind(&self.name)).await
    }

    /// Whether this epoch and beat have been seen for [`TTL`].
    fn stands_still(&mut self, epoch: i64, beat: i64) -> bool {
        match self.seen {
            Some(seen) if (seen.epoch, seen.beat) == (epoch, beat) => seen.since.elapsed() >= TTL,
            _ => {
                self.seen = Some(Seen {
                    epoch,
                    beat,
                    since: Instant::now(),
                });
                false
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bus::MIGRATIONS;

    async fn tables() -> Db {
        let db = Db::open_memory().await.expect("opens");
        db.migrate(&MIGRATIONS, 0).await.expect("migrates");
        db
    }

    fn lease(db: &Db, holder: &str) -> Lease {
        let leases = Leases::Shared {
            db: db.clone(),
            holder: holder.to_owned(),
        };
        leases.lease("feed/t")
    }

    /// Time passes for leases alone: the tables need real time.
    fn pass(lease: &mut Lease, time: Duration) {
        if let Some(held) = &mut lease.held {
            held.since -= time;
        }
        if let Some(seen) = &mut lease.seen {
            seen.since -= time;
        }
    }

    #[tokio::test]
    async fn one_holder_at_a_time_and_the_next_after_its_last_beat() {
        let db = tables().await;
        let (mut a, mut b) = (lease(&db, "a"), lease(&db, "b"));
        assert!(a.try_acquire(1).await.expect("answers"));
        assert!(!b.try_acquire(1).await.expect("answers"), "a has it");
        pass(&mut b, TTL);
        assert!(a.beat(2).await.expect("answers"));
        assert!(!b.try_acquire(2).await.expect("answers"), "a still beats");
        pass(&mut b, TTL);
        assert!(b.try_acquire(3).await.expect("answers"), "a stood still");
        assert!(!a.beat(4).await.expect("answers"), "succeeded by b");
        assert!(b.beat(4).await.expect("answers"));
    }

    #[tokio::test]
    async fn a_lease_given_back_is_free_at_once() {
        let db = tables().await;
        let (mut a, mut b) = (lease(&db, "a"), lease(&db, "b"));
        assert!(a.try_acquire(1).await.expect("answers"));
        a.release(2).await;
        assert!(b.try_acquire(2).await.expect("answers"));
        assert!(!a.try_acquire(2).await.expect("answers"));
    }

    #[tokio::test]
    async fn a_holder_without_tables_stops_before_it_can_be_succeeded() {
        let db = tables().await;
        let mut a = lease(&db, "a");
        assert!(a.try_acquire(1).await.expect("answers"));
        db.close().await;
        pass(&mut a, BEAT);
        assert!(a.check(2).await.expect("still sure"));
        pass(&mut a, TTL / 3 * 2);
        a.check(3).await.expect_err("no longer sure");
        assert!(!a.check(3).await.expect("given up"));
    }

    #[tokio::test]
    async fn a_sole_process_needs_no_tables() {
        let mut lease = Leases::Sole.lease("feed/t");
        assert!(lease.try_acquire(1).await.expect("granted"));
        assert!(lease.check(1).await.expect("held"));
    }
}
