//! Corrections that come from events: redrives, rejects, and proposals by Kafka.

use super::ids;
use super::model::{Correction, Proposal};
use super::rules::{Door, Kind, Refusal};
use super::service::{Corrections, Done, again, conflict, event_not_found, fresh};
use super::steps::{Desk, Stepped, refused, wrong_event_state};
use super::table;
use crate::intake::Sent;
use crate::model::digest::content;
use crate::model::{Event, State};
use crate::store::keys::Keyed;
use crate::store::{Actor, Session, WriteError};
use florin_platform::http::problem::Problem;

impl Corrections {
    /// `POST …/events/{eventId}/redrive`: a correction of kind `redrive` (contract A4).
    ///
    /// # Errors
    /// 404 `event_not_found`, 409 `invalid_state`, `would_go_negative`, `idempotency_conflict`, and
    /// the store's.
    pub async fn redrive(
        &self,
        event_id: String,
        actor: Actor,
        reason: String,
        key: Option<String>,
    ) -> Result<Done, Problem> {
        let desk = self.desk.clone();
        let asked = vec![
            ("eventId", event_id.as_str().into()),
            ("reason", reason.as_str().into()),
        ];
        let key = key.map(|key| Keyed::new("redrive", &actor, &key, asked));
        self.keyed(key, move |session| {
            Box::pin(async move {
                let made = propose_redrive(session, &desk, &event_id, &actor, |proposal| {
                    proposal.reason = reason;
                })
                .await?
                .map_err(WriteError::Refused)?;
                let own = desk.approve_own(session, &made.id, &actor).await?;
                own.map_err(WriteError::Refused)
            })
        })
        .await
    }

    /// `POST …/events/{eventId}/reject`: a final no to a held or reviewed event (contract A4).
    ///
    /// # Errors
    /// 404 `event_not_found`, 409 `invalid_state`, and the store's.
    pub async fn reject_event(
        &self,
        event_id: String,
        actor: Actor,
        reason: String,
    ) -> Result<(), Problem> {
        self.shadow
            .write(move |session| {
                Box::pin(async move {
                    let stored = session.find_event(&event_id).await?;
                    let stored = stored.ok_or_else(event_not_found)?;
                    if !matches!(stored.state, State::Held | State::HeldForReview) {
                        return Err(wrong_event_state(stored.state).into());
                    }
                    let key = stored.event.key();
                    session.reject(&stored.book(), &key, &actor, &reason).await
                })
            })
            .await?;
        Ok(())
    }

    /// A correction that came by Kafka: proposed, never applied, except in the compat profile
    /// (contract A3). One that was made here and came back is known.
    ///
    /// # Errors
    /// 409 `event_conflict` for another content under a known id, and the store's.
    pub async fn from_kafka(&self, sent: Sent, actor: Actor) -> Result<Done, Problem> {
        let desk = self.desk.clone();
        let done = self
            .shadow
            .write(move |session| {
                Box::pin(async move {
                    if let Some(known) = table::find_in(session.tx(), &sent.event.event_id).await? {
                        return match is_same(&known, &sent.event) {
                            true => Ok(again(known)),
                            false => Err(conflict("event_conflict", None).into()),
                        };
                    }
                    let made = desk.propose(session, of_topic(sent), &actor).await?;
                    let made = made.map_err(WriteError::Refused)?;
                    if !desk.control().compat {
                        return Ok(fresh(made));
                    }
                    // What does not fit stays proposed.
                    match desk.approve_own(session, &made.id, &actor).await? {
                        Ok(mut legs) => Ok(fresh(legs.swap_remove(0))),
                        Err(_) => Ok(fresh(made)),
                    }
                })
            })
            .await?;
        Ok(done)
    }
}

fn of_topic(sent: Sent) -> Proposal {
    let event = sent.event;
    Proposal {
        door: Door::Kafka,
        reason: sent.reason,
        cause: sent.cause,
        check_id: sent.check_id,
        request: Some(hex::encode(content(&event))),
        ..Proposal::new(
            event.event_id.clone(),
            event.book(),
            event.signed(),
            event.timestamp,
        )
    }
}

/// Whether a correction that is known is the one that a topic brings: by its whole content if it
/// came from there, by what it does to the books if it was made here and mirrored.
fn is_same(known: &Correction, event: &Event) -> bool {
    match known.door {
        Door::Kafka => known.request == Some(hex::encode(content(event))),
        _ => {
            let known_does = (&known.book, known.signed, known.timestamp);
            known_does == (&event.book(), event.signed(), event.timestamp)
        }
    }
}

/// Proposes to apply a rejected or reviewed event; `with` adds what its door knows.
///
/// # Errors
/// In the inner result 404 `event_not_found`, 409 `invalid_state` (also while an earlier redrive
/// of the event is open).
pub async fn propose_redrive(
    session: &mut Session,
    desk: &Desk,
    event_id: &str,
    actor: &Actor,
    with: impl FnOnce(&mut Proposal),
) -> Stepped<Correction> {
    let Some(stored) = session.find_event(event_id).await? else {
        return Ok(Err(event_not_found()));
    };
    if !matches!(stored.state, State::Rejected | State::HeldForReview) {
        return Ok(Err(wrong_event_state(stored.state)));
    }
    let before = table::of_target(session.tx(), event_id).await?;
    let redrives: Vec<_> = before
        .iter()
        .filter(|known| known.kind == Kind::Redrive)
        .collect();
    if let Some(open) = redrives.iter().find(|known| known.status.pending()) {
        let refusal = Refusal::InvalidState(open.status);
        return Ok(Err(refused(refusal).with("eventId", open.id.clone())));
    }
    let attempt = u32::try_from(redrives.len() + 1).unwrap_or(u32::MAX);
    let mut proposal = Proposal {
        kind: Kind::Redrive,
        cause: Some(event_id.to_owned()),
        target: Some(event_id.to_owned()),
        ..Proposal::new(
            ids::of_redrive(event_id, attempt),
            stored.book(),
            stored.event.signed(),
            stored.event.timestamp,
        )
    };
    with(&mut proposal);
    desk.propose(session, proposal, actor).await
}
