//! What matching does when a correction applies or is refused (contract C4, D2).

use florin_base::IdSource;
use florin_platform::sql::{Db, query};
use parking_lot::Mutex;
use serde_json::json;

use super::record::{RECORD, match_correction, undo_in};
use crate::corrections::hooks::Hooks;
use crate::corrections::model::Correction;
use crate::corrections::rules::Kind;
use crate::store::bulk::{self, Marks};
use crate::store::{Actor, NewRecord, Session, Working, WriteError};

/// Follows corrections inside their own transaction.
pub struct MatchHooks {
    marks: Marks,
    ids: Mutex<IdSource>,
}

impl MatchHooks {
    /// For the tables of a shadow ledger.
    pub fn new(db: &Db) -> Self {
        Self {
            marks: bulk::marks_of(db),
            ids: Mutex::new(IdSource::new()),
        }
    }

    async fn follow(
        &self,
        session: &mut Session,
        correction: &Correction,
    ) -> Result<(), WriteError> {
        let actor = actor_of(correction);
        if correction.kind == Kind::Variance {
            return activate(session, correction, &actor).await;
        }
        let Some(line) = &correction.line_id else {
            return Ok(());
        };
        // What was appended in this transaction is looked up in the tables.
        session.flush().await?;
        let id = self.ids.lock().uuid_v7(session.now()).to_string();
        let scale = scale_of(session, line).await?;
        match_correction(
            session,
            self.marks,
            line,
            &correction.id,
            &actor,
            scale,
            &id,
        )
        .await
    }
}

fn actor_of(correction: &Correction) -> Actor {
    let subject = correction
        .approved_by
        .as_ref()
        .unwrap_or(&correction.proposed_by);
    Actor {
        subject: subject.clone(),
        role: None,
        trace_id: correction.trace_id.clone(),
    }
}

async fn scale_of(session: &mut Session, line: &str) -> Result<u8, WriteError> {
    let statement = line.rsplit_once('.').map_or("", |(statement, _)| statement);
    let text = "SELECT scale FROM shadow_statements WHERE id = $1";
    let row = session
        .tx()
        .fetch_optional(query(text).bind(statement))
        .await?;
    let scale: i64 = row.map_or(Ok(0), |row| row.get("scale"))?;
    Ok(u8::try_from(scale).unwrap_or(0))
}

/// The match that waited for this variance counts from now on.
async fn activate(
    session: &mut Session,
    correction: &Correction,
    actor: &Actor,
) -> Result<(), WriteError> {
    let find =
        query("SELECT number, id FROM shadow_matches WHERE correction = $1 AND state = 'proposed'");
    let row = session
        .tx()
        .fetch_optional(find.bind(&correction.id))
        .await?;
    let Some(row) = row else { return Ok(()) };
    let (number, id): (i64, String) = (row.get("number")?, row.get("id")?);
    let update = query("UPDATE shadow_matches SET state = 'active' WHERE number = $1").bind(number);
    session.tx().execute(update).await?;
    let body = json!({ "matchId": id, "before": "proposed", "state": "active",
        "correction": correction.id });
    let record = NewRecord::new(RECORD, actor.clone(), &body).about(&correction.book);
    session.append(record.subject(id));
    Ok(())
}

async fn withdraw(session: &mut Session, correction: &Correction) -> Result<(), WriteError> {
    if correction.kind != Kind::Variance {
        return Ok(());
    }
    let find =
        query("SELECT number FROM shadow_matches WHERE correction = $1 AND state = 'proposed'");
    let row = session
        .tx()
        .fetch_optional(find.bind(&correction.id))
        .await?;
    match row {
        Some(row) => {
            let actor = actor_of(correction);
            undo_in(session, row.get("number")?, &actor, "variance_rejected").await
        }
        None => Ok(()),
    }
}

impl Hooks for MatchHooks {
    fn applied<'a>(
        &'a self,
        session: &'a mut Session,
        correction: &'a Correction,
    ) -> Working<'a, ()> {
        Box::pin(self.follow(session, correction))
    }

    fn rejected<'a>(
        &'a self,
        session: &'a mut Session,
        correction: &'a Correction,
    ) -> Working<'a, ()> {
        Box::pin(withdraw(session, correction))
    }
}
