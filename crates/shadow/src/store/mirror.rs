//! What other parts of the room need of a session beside events and corrections: entries that
//! mirror our own ledger, books that are linked to it, and many rows at once.

use florin_platform::sql::{Arg, SqlError};

use super::bulk;
use super::error::WriteError;
use super::record::Actor;
use super::session::{Entering, Session};
use crate::model::book::Slot;
use crate::model::decide::{self, CorrectionRefused};
use crate::model::{BookId, Event, Rules, State};

impl Session {
    /// Many rows into a table of your own: `prefix VALUES (…), (…) suffix`.
    ///
    /// # Errors
    /// As [`florin_platform::sql::Tx::execute`].
    pub async fn insert_many(
        &mut self,
        prefix: &str,
        suffix: &str,
        rows: Vec<Vec<Arg>>,
    ) -> Result<(), SqlError> {
        let marks = self.core.marks;
        bulk::insert(self.tx(), marks, prefix, suffix, rows).await
    }

    /// Makes a book the mirror of an account of our own ledger: no floor, no other events. The
    /// caller has checked that it is empty, and appends the setting's record.
    ///
    /// # Errors
    /// As [`Session::load`].
    pub async fn link(&mut self, id: &BookId, actor: &Actor) -> Result<(), WriteError> {
        let rules = Rules {
            floor: None,
            ..self.book(id).await?.rules
        };
        self.set_rules(id, rules, true, actor);
        Ok(())
    }

    /// Puts in what the ledger has decided already: applied and final, whatever the balance.
    /// The id must be new.
    ///
    /// # Errors
    /// In the inner result [`CorrectionRefused::Overflow`], with nothing changed.
    pub async fn enter_mirrored(
        &mut self,
        event: &Event,
        correction: bool,
        cause: Option<&str>,
    ) -> Result<Result<i64, CorrectionRefused>, WriteError> {
        let id = event.book();
        debug_assert!(self.book(&id).await?.linked, "only the feed writes here");
        let log_seq = self.head().log_seq + 1;
        let slot = Slot {
            key: event.key(),
            signed: event.signed(),
            state: State::Applied,
            is_final: true,
            reason: None,
            deadline: None,
            correction,
            log_seq,
        };
        self.book(&id).await?;
        self.bring(&id, std::iter::once(&event.key())).await?;
        let changes = match decide::correct(self.change(&id), slot) {
            Ok(changes) => changes,
            Err(refused) => return Ok(Err(refused)),
        };
        let actor = Actor::system("feed");
        let entering = Entering {
            entrance: "feed",
            actor: &actor,
            correction,
            cause,
        };
        self.record_event(event, &entering);
        self.note(&id, changes, &actor, None);
        Ok(Ok(log_seq))
    }
}
