//! What was cut off: users, sessions and keys whose credentials made before now count no more.
//!
//! **Invariants.** In this process a cut takes effect before the call that made it answers; in
//! others, and for cuts made by the command line, with their next [`Revocations::pull`]. A mark
//! is kept until nothing made before it could still be accepted, so the map is bounded by the
//! life of a token.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use parking_lot::RwLock;

use super::cache::Verified;
use crate::sql::{Db, SqlError, Tx, query};

/// Rows read at a time.
const PULL_PAGE: i64 = 1_000;

#[derive(Clone, Copy, Debug)]
struct Mark {
    min_epoch: i64,
    until: i64,
}

/// A cut to be written and applied.
#[derive(Clone, Debug)]
pub struct Cut {
    /// `user:…`, `session:…` or `key:…`.
    pub scope: String,
    /// Credentials made in an earlier epoch fall.
    pub min_epoch: i64,
    /// Wall clock in microseconds until which the mark is needed.
    pub until: i64,
}

/// All marks in force.
#[derive(Debug, Default)]
pub struct Revocations {
    /// Grows with every cut; a credential compared with this number needs no other look.
    generation: AtomicU64,
    marks: RwLock<HashMap<Box<str>, Mark>>,
    pulled: AtomicI64,
}

impl Revocations {
    /// Number of the last cut. Read it before verifying, and keep it with the result.
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// True when one of the scopes was cut after the credential was made.
    pub fn cuts<'a>(&self, scopes: impl IntoIterator<Item = (&'a str, i64)>) -> bool {
        let marks = self.marks.read();
        !marks.is_empty()
            && scopes
                .into_iter()
                .any(|(scope, epoch)| marks.get(scope).is_some_and(|mark| epoch < mark.min_epoch))
    }

    /// As [`Revocations::cuts`] for a remembered credential, at the cost of one comparison when
    /// nothing was cut since the last look.
    pub fn cuts_verified(&self, entry: &Verified) -> bool {
        let generation = self.generation();
        if entry.seen() == generation {
            return false;
        }
        let cut = self.cuts(entry.scopes.iter().map(|(scope, epoch)| (&**scope, *epoch)));
        if !cut {
            entry.seen.store(generation, Ordering::Release);
        }
        cut
    }

    /// Makes a cut count in this process.
    pub fn apply(&self, cut: &Cut) {
        self.mark(&cut.scope, cut.min_epoch, cut.until);
    }

    fn mark(&self, scope: &str, min_epoch: i64, until: i64) {
        let mut marks = self.marks.write();
        let mark = marks.entry(scope.into()).or_insert(Mark {
            min_epoch: i64::MIN,
            until,
        });
        mark.until = mark.until.max(until);
        if mark.min_epoch < min_epoch {
            mark.min_epoch = min_epoch;
            self.generation.fetch_add(1, Ordering::AcqRel);
        }
    }

    /// Writes a cut within the transaction of the change; [`Revocations::apply`] it after the
    /// commit.
    ///
    /// # Errors
    /// Of the store.
    pub async fn write(tx: &mut Tx, cut: &Cut) -> Result<(), SqlError> {
        let insert = "INSERT INTO revocations (scope, min_epoch, until) VALUES ($1, $2, $3)";
        let row = query(insert)
            .bind(&cut.scope)
            .bind(cut.min_epoch)
            .bind(cut.until);
        tx.execute(row).await.map(drop)
    }

    /// Reads the cuts that others made since the last call.
    ///
    /// # Errors
    /// Of the store; marks known so far stay in force.
    pub async fn pull(&self, db: &Db) -> Result<(), SqlError> {
        loop {
            let after = self.pulled.load(Ordering::Acquire);
            let select = "SELECT seq, scope, min_epoch, until FROM revocations
                          WHERE seq > $1 ORDER BY seq LIMIT $2";
            let rows = db
                .fetch_all(query(select).bind(after).bind(PULL_PAGE))
                .await?;
            if rows.is_empty() {
                return Ok(());
            }
            for row in rows {
                let scope: String = row.get("scope")?;
                self.mark(&scope, row.get("min_epoch")?, row.get("until")?);
                self.pulled.fetch_max(row.get("seq")?, Ordering::AcqRel);
            }
        }
    }

    /// Drops marks that are needed no more, here and in the store.
    ///
    /// # Errors
    /// Of the store.
    pub async fn prune(&self, db: &Db, now: i64) -> Result<(), SqlError> {
        self.marks.write().retain(|_, mark| now < mark.until);
        let delete = query("DELETE FROM revocations WHERE until <= $1").bind(now);
        db.execute(delete).await.map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(scope: &str, min_epoch: i64, until: i64) -> Cut {
        Cut {
            scope: scope.to_owned(),
            min_epoch,
            until,
        }
    }

    async fn cuts_reach_other_processes_and_end() {
        let db = crate::testing::fresh_db().await;
        db.migrate(&super::super::MIGRATIONS, 0).await.unwrap();
        let (here, there) = (Revocations::default(), Revocations::default());
        let cut = cut("user:u1", 3, 100);
        let mut tx = db.begin().await.unwrap();
        Revocations::write(&mut tx, &cut).await.unwrap();
        tx.commit().await.unwrap();
        here.apply(&cut);
        assert!(here.cuts([("user:u1", 2)]));
        assert!(!here.cuts([("user:u1", 3)]));
        assert!(!there.cuts([("user:u1", 2)]));
        there.pull(&db).await.unwrap();
        assert!(there.cuts([("session:x", 0), ("user:u1", 2)]));
        let generation = here.generation();
        here.pull(&db).await.unwrap();
        assert_eq!(here.generation(), generation, "known already");
        here.prune(&db, 99).await.unwrap();
        assert!(here.cuts([("user:u1", 2)]));
        here.prune(&db, 100).await.unwrap();
        assert!(!here.cuts([("user:u1", 2)]));
        there.pull(&db).await.unwrap();
    }

    crate::testing::conformance! { cuts_reach_other_processes_and_end }
}
