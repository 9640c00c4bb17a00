//! What corrections do to a book inside a session: enter, redrive, reject (contract A4, C4).

use super::error::WriteError;
use super::record::Actor;
use super::session::{Entering, Session};
use crate::model::book::{Slot, Verdict};
use crate::model::decide::{self, CorrectionRefused};
use crate::model::{BookId, Event, Key, State};

impl Session {
    /// Puts a correction in as an entry that is final at once (contract A4, C4): appends its
    /// `event` record and whatever it changes. The caller has checked approval, and that the id
    /// is new ([`Session::find_event`]).
    ///
    /// # Errors
    /// In the inner result the verdict that refused it, with nothing changed.
    pub async fn enter_correction(
        &mut self,
        event: &Event,
        actor: &Actor,
        cause: Option<&str>,
    ) -> Result<Result<i64, CorrectionRefused>, WriteError> {
        let id = event.book();
        self.book(&id).await?;
        self.bring(&id, std::iter::once(&event.key())).await?;
        self.expire(&id);
        let log_seq = self.head().log_seq + 1;
        let slot = Slot {
            key: event.key(),
            signed: event.signed(),
            state: State::Applied,
            is_final: true,
            reason: None,
            deadline: None,
            correction: true,
            log_seq,
        };
        let changes = match decide::correct(self.change(&id), slot) {
            Ok(changes) => changes,
            Err(refused) => return Ok(Err(refused)),
        };
        let entering = Entering {
            entrance: "correction",
            actor,
            correction: true,
            cause,
        };
        self.record_event(event, &entering);
        self.note(&id, changes, actor, None);
        Ok(Ok(log_seq))
    }

    /// How a rejected or reviewed event would fare now; `None` if it is neither.
    ///
    /// # Errors
    /// As [`Session::load`].
    pub async fn would_fit(
        &mut self,
        book: &BookId,
        key: &Key,
    ) -> Result<Option<Verdict>, WriteError> {
        self.book(book).await?;
        self.bring(book, std::iter::once(key)).await?;
        Ok(decide::would_fit(self.book(book).await?, key))
    }

    /// Applies a rejected or reviewed event for good (contract A4): appends the `decision`. The
    /// caller has checked approval and state.
    ///
    /// # Errors
    /// In the inner result the verdict that refused it, with nothing changed.
    pub async fn redrive(
        &mut self,
        book: &BookId,
        key: &Key,
        actor: &Actor,
        note: &str,
    ) -> Result<Result<(), Verdict>, WriteError> {
        self.book(book).await?;
        self.bring(book, std::iter::once(key)).await?;
        self.expire(book);
        match decide::redrive(self.change(book), key) {
            Ok(changes) => {
                self.note(book, changes, actor, Some(note));
                Ok(Ok(()))
            }
            Err(verdict) => Ok(Err(verdict)),
        }
    }

    /// Refuses a held or reviewed event for good: appends the `decision`. The caller has checked
    /// the state.
    ///
    /// # Errors
    /// As [`Session::load`].
    pub async fn reject(
        &mut self,
        book: &BookId,
        key: &Key,
        actor: &Actor,
        note: &str,
    ) -> Result<(), WriteError> {
        self.book(book).await?;
        self.bring(book, std::iter::once(key)).await?;
        self.expire(book);
        let change = decide::reject(self.change(book), key);
        self.note(book, change.into_iter().collect(), actor, Some(note));
        Ok(())
    }
}
