//! The steps of a correction's life, each inside one write transaction of the log (contract C4).
//!
//! **Invariants.** [`Desk::approve`] is the only way into the books, whichever door a proposal
//! came through, and asks the four-eyes rule anew in the transaction that applies it (INV-S18).
//! Every step appends one record with who, why, before and after (INV-S19). A refusal in the
//! inner result has changed nothing; the legs of a pair apply in one transaction or not at all.

use std::sync::Arc;

use florin_platform::http::problem::{Problem, Status as Http};

use super::control::Control;
use super::hooks::Hooks;
use super::ids;
use super::model::{Correction, Proposal, RECORD, StepBody};
use super::rules::{self, EXPIRED, Kind, POLICY, Refusal, Status};
use super::table;
use crate::model::decide::CorrectionRefused;
use crate::model::{BookId, State};
use crate::store::{Actor, NewRecord, Session, WriteError, failpoint};

/// Microseconds of a UTC day.
const DAY_MICROS: i64 = 86_400_000_000;

/// A step's outcome: a refusal has changed nothing and need not roll anything back.
pub type Stepped<T> = Result<Result<T, Problem>, WriteError>;

/// Decides about corrections; cheap to clone.
#[derive(Clone)]
pub struct Desk {
    control: Arc<Control>,
    hooks: Arc<dyn Hooks>,
    version: Arc<str>,
}

/// 409 or 403 with the code of a refused step.
pub fn refused(refusal: Refusal) -> Problem {
    let status = match refusal {
        Refusal::FourEyes => Http::Forbidden,
        Refusal::InvalidState(_) | Refusal::AlreadyReversed => Http::Conflict,
    };
    Problem::new(status, refusal.code(), sentence(&refusal.to_string())).refused()
}

fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|c| c.to_uppercase().to_string());
    format!("{}{}.", first.unwrap_or_default(), letters.as_str())
}

/// 404 `correction_not_found`.
pub fn not_found() -> Problem {
    Problem::not_found("correction_not_found", "There is no such correction.")
}

impl Desk {
    /// With the settings in force and whoever wants to know what was applied.
    pub fn new(control: Arc<Control>, hooks: Arc<dyn Hooks>) -> Self {
        let version = control.version().into();
        Self {
            control,
            hooks,
            version,
        }
    }

    /// The settings in force.
    pub fn control(&self) -> &Control {
        &self.control
    }

    fn note(
        &self,
        session: &mut Session,
        correction: &mut Correction,
        before: Option<Status>,
        actor: &Actor,
        reason: &str,
    ) {
        let body = StepBody::of(correction, before, reason, &self.version);
        let record = NewRecord::new(RECORD, actor.clone(), &body)
            .about(&correction.book)
            .subject(&correction.id)
            .emits(emitted(correction.status));
        correction.log_seq = session.append(record);
    }

    /// Writes a proposal down; nothing moves.
    ///
    /// # Errors
    /// In the inner result 409 `event_conflict` when the id is taken.
    pub async fn propose(
        &self,
        session: &mut Session,
        proposal: Proposal,
        actor: &Actor,
    ) -> Stepped<Correction> {
        let taken = session.find_event(&proposal.id).await?.is_some()
            || table::find_in(session.tx(), &proposal.id).await?.is_some();
        if taken {
            let detail = "This id is taken by something else.";
            return Ok(Err(Problem::conflict("event_conflict", detail)));
        }
        let mut correction = Correction {
            id: proposal.id,
            book: proposal.book,
            signed: proposal.signed,
            timestamp: proposal.timestamp,
            kind: proposal.kind,
            status: Status::Proposed,
            reason: proposal.reason,
            proposed_by: actor.subject.clone(),
            approved_by: None,
            door: proposal.door,
            cause: proposal.cause,
            check_id: proposal.check_id,
            line_id: proposal.line_id,
            partner: proposal.partner,
            target: proposal.target,
            transfer_id: None,
            request: proposal.request,
            trace_id: actor.trace_id.clone(),
            proposed_at: session.now(),
            decided_at: None,
            applied_at: None,
            auto_day: None,
            made_seq: 0,
            log_seq: 0,
        };
        let reason = correction.reason.clone();
        self.note(session, &mut correction, None, actor, &reason);
        correction.made_seq = correction.log_seq;
        table::insert(session.tx(), &correction).await?;
        Ok(Ok(correction))
    }

    /// A correction and, of a pair, its other leg behind it.
    async fn legs(&self, session: &mut Session, id: &str) -> Stepped<Vec<Correction>> {
        let Some(first) = table::find_in(session.tx(), id).await? else {
            return Ok(Err(not_found()));
        };
        let mut legs = vec![first];
        if let Some(partner) = legs[0].partner.clone() {
            let other = table::find_in(session.tx(), &partner).await?;
            legs.push(other.ok_or(WriteError::Damaged("pair of corrections"))?);
        }
        Ok(Ok(legs))
    }

    /// Approves a correction, with its other leg if it is one of a pair, and puts it into the
    /// books. Of a linked book it stays `approved` until its transfer comes back by the feed.
    ///
    /// # Errors
    /// In the inner result 404 `correction_not_found`, 409 `invalid_state`, 403
    /// `four_eyes_required`, 409 `would_go_negative`.
    pub async fn approve(
        &self,
        session: &mut Session,
        id: &str,
        actor: &Actor,
        reason: &str,
    ) -> Stepped<Vec<Correction>> {
        let mut legs = match self.legs(session, id).await? {
            Ok(legs) => legs,
            Err(problem) => return Ok(Err(problem)),
        };
        for leg in &legs {
            let limit = self.control.four_eyes(&leg.book.currency);
            let (proposer, approver) = (&leg.proposed_by, &actor.subject);
            let size = leg.signed.abs();
            if let Err(refusal) = rules::approve(leg.status, size, proposer, approver, limit) {
                return Ok(Err(refused(refusal)));
            }
        }
        // The debit goes first: if it does not fit, nothing has changed yet.
        let mut order: Vec<usize> = (0..legs.len()).collect();
        order.sort_by_key(|&at| legs[at].signed);
        for (nth, &at) in order.iter().enumerate() {
            let leg = &mut legs[at];
            if nth > 0 {
                failpoint::reach("pair.mid");
            }
            if let Err(problem) = self.apply(session, leg, actor, reason).await? {
                return match nth {
                    0 => Ok(Err(problem)),
                    // The leg before stands already: everything must be rolled back.
                    _ => Err(WriteError::Refused(problem)),
                };
            }
        }
        Ok(Ok(legs))
    }

    /// Approved in every sense: into the books, or to the ledger.
    async fn apply(
        &self,
        session: &mut Session,
        leg: &mut Correction,
        actor: &Actor,
        reason: &str,
    ) -> Stepped<()> {
        let linked = session.book(&leg.book).await?.linked && leg.kind != Kind::Variance;
        if !linked && let Err(problem) = self.enter(session, leg, actor, reason).await? {
            return Ok(Err(problem));
        }
        failpoint::reach("correction.approve_mid");
        let now = session.now();
        leg.status = Status::Approved;
        leg.approved_by = Some(actor.subject.clone());
        leg.decided_at = Some(now);
        leg.auto_day = (actor.subject == POLICY).then(|| now.div_euclid(DAY_MICROS));
        if linked {
            leg.transfer_id = Some(super::transfer_of(&leg.id).to_string());
        }
        self.note(session, leg, Some(Status::Proposed), actor, reason);
        if !linked {
            self.settle(session, leg, actor).await?;
        }
        table::update(session.tx(), leg).await?;
        Ok(Ok(()))
    }

    /// Puts a correction into its book; nothing has changed if it is refused.
    async fn enter(
        &self,
        session: &mut Session,
        leg: &Correction,
        actor: &Actor,
        reason: &str,
    ) -> Stepped<()> {
        match leg.kind {
            Kind::Variance => Ok(Ok(())),
            Kind::Redrive => self.redrive(session, leg, actor, reason).await,
            _ => {
                if session.find_event(&leg.id).await?.is_some() {
                    let detail = "An event with this id was recorded meanwhile.";
                    return Ok(Err(Problem::conflict("event_conflict", detail)));
                }
                let event = leg.event();
                let cause = leg.cause.as_deref();
                let entered = session.enter_correction(&event, actor, cause).await?;
                Ok(entered.map(drop).map_err(|refusal| match refusal {
                    CorrectionRefused::DoesNotFit(_) => would_go_negative(),
                    CorrectionRefused::Overflow => overflow(),
                }))
            }
        }
    }

    async fn redrive(
        &self,
        session: &mut Session,
        leg: &Correction,
        actor: &Actor,
        reason: &str,
    ) -> Stepped<()> {
        let target = leg.target.as_deref().unwrap_or_default();
        let Some(stored) = session.find_event(target).await? else {
            let detail = "There is no such event.";
            return Ok(Err(Problem::not_found("event_not_found", detail)));
        };
        if !matches!(stored.state, State::Rejected | State::HeldForReview) {
            return Ok(Err(wrong_event_state(stored.state)));
        }
        let key = stored.event.key();
        let done = session.redrive(&leg.book, &key, actor, reason).await?;
        Ok(done.map_err(|_| would_go_negative()))
    }

    /// The books hold it: `applied`, and what it reverses is `reversed`.
    async fn settle(
        &self,
        session: &mut Session,
        leg: &mut Correction,
        actor: &Actor,
    ) -> Result<(), WriteError> {
        leg.status = Status::Applied;
        leg.applied_at = Some(session.now());
        let reason = leg.reason.clone();
        self.note(session, leg, Some(Status::Approved), actor, &reason);
        if leg.kind == Kind::Reversal || (leg.kind == Kind::Pair && leg.target.is_some()) {
            let target = leg.target.clone().unwrap_or_default();
            if let Some(mut reversed) = table::find_in(session.tx(), &target).await? {
                reversed.status = Status::Reversed;
                let before = Some(Status::Applied);
                self.note(session, &mut reversed, before, actor, &reason);
                table::update(session.tx(), &reversed).await?;
            }
        }
        self.hooks.applied(session, leg).await
    }

    /// Rejects a correction, with its other leg if it is one of a pair.
    ///
    /// # Errors
    /// In the inner result 404 `correction_not_found`, 409 `invalid_state`.
    pub async fn reject(
        &self,
        session: &mut Session,
        id: &str,
        actor: &Actor,
        reason: &str,
    ) -> Stepped<Vec<Correction>> {
        let mut legs = match self.legs(session, id).await? {
            Ok(legs) => legs,
            Err(problem) => return Ok(Err(problem)),
        };
        for leg in &legs {
            if let Err(refusal) = rules::reject(leg.status) {
                return Ok(Err(refused(refusal)));
            }
        }
        for leg in &mut legs {
            leg.status = Status::Rejected;
            leg.approved_by = Some(actor.subject.clone());
            leg.decided_at = Some(session.now());
            self.note(session, leg, Some(Status::Proposed), actor, reason);
            table::update(session.tx(), leg).await?;
            self.hooks.rejected(session, leg).await?;
        }
        Ok(Ok(legs))
    }

    /// Rejects proposals that nobody decided in time; answers how many.
    ///
    /// # Errors
    /// As [`Desk::reject`].
    pub async fn expire(&self, session: &mut Session, ids: &[String]) -> Result<usize, WriteError> {
        let actor = Actor::system(EXPIRED);
        let now = session.now();
        let mut gone = 0;
        for id in ids {
            let Some(found) = table::find_in(session.tx(), id).await? else {
                continue;
            };
            let due = rules::expired(found.proposed_at, now);
            if due && found.status == Status::Proposed {
                // Another leg may have gone with one before.
                gone += usize::from(self.reject(session, id, &actor, EXPIRED).await?.is_ok());
            }
        }
        Ok(gone)
    }

    /// Proposes the opposite of an applied correction, of both legs if it is one of a pair.
    ///
    /// # Errors
    /// In the inner result 404 `correction_not_found`, 409 `invalid_state`, 409
    /// `already_reversed`.
    pub async fn reverse(
        &self,
        session: &mut Session,
        id: &str,
        actor: &Actor,
        reason: &str,
        timestamp: Option<i64>,
    ) -> Stepped<Vec<Correction>> {
        let legs = match self.legs(session, id).await? {
            Ok(legs) => legs,
            Err(problem) => return Ok(Err(problem)),
        };
        let mut ids_of = Vec::with_capacity(legs.len());
        for leg in &legs {
            let before = table::of_target(session.tx(), &leg.id).await?;
            let latest = before.last().map(|reversal| reversal.status);
            if let Err(refusal) = rules::reverse(leg.status, latest) {
                return Ok(Err(refused(refusal)));
            }
            if leg.kind == Kind::Variance {
                let detail = "A variance has no entry: undo its match instead.";
                return Ok(Err(Problem::conflict("invalid_state", detail)));
            }
            let attempt = u32::try_from(before.len() + 1).unwrap_or(u32::MAX);
            ids_of.push(ids::of_reversal(&leg.id, attempt));
        }
        let mut made = Vec::with_capacity(legs.len());
        for (at, leg) in legs.iter().enumerate() {
            let proposal = Proposal {
                kind: match legs.len() {
                    1 => Kind::Reversal,
                    _ => Kind::Pair,
                },
                reason: reason.to_owned(),
                cause: match leg.kind {
                    Kind::Redrive => leg.target.clone(),
                    _ => Some(leg.id.clone()),
                },
                partner: (legs.len() > 1).then(|| ids_of[1 - at].clone()),
                target: Some(leg.id.clone()),
                ..Proposal::new(
                    ids_of[at].clone(),
                    leg.book.clone(),
                    -leg.signed,
                    timestamp.unwrap_or(leg.timestamp),
                )
            };
            match self.propose(session, proposal, actor).await? {
                Ok(correction) => made.push(correction),
                Err(problem) if at == 0 => return Ok(Err(problem)),
                Err(problem) => return Err(WriteError::Refused(problem)),
            }
        }
        Ok(Ok(made))
    }

    /// At or below the limit a manual correction, redrive or reversal is approved by its
    /// proposer in the same step; above it, it waits.
    ///
    /// # Errors
    /// In the inner result as [`Desk::approve`], but never `four_eyes_required`.
    pub async fn approve_own(
        &self,
        session: &mut Session,
        id: &str,
        actor: &Actor,
    ) -> Stepped<Vec<Correction>> {
        let legs = match self.legs(session, id).await? {
            Ok(legs) => legs,
            Err(problem) => return Ok(Err(problem)),
        };
        let small = legs.iter().all(|leg| {
            let limit = self.control.four_eyes(&leg.book.currency);
            let reversal = leg.kind == Kind::Pair && leg.target.is_some();
            let own = leg.kind.approved_at_once() || reversal;
            own && limit.is_none_or(|limit| leg.signed.abs() <= limit)
        });
        if !small {
            return Ok(Ok(legs));
        }
        let reason = legs[0].reason.clone();
        self.approve(session, id, actor, &reason).await
    }

    /// The feed has brought an approved correction's transfer: it is in the books.
    ///
    /// # Errors
    /// [`WriteError::Store`] or [`WriteError::Damaged`].
    pub async fn arrived(
        &self,
        session: &mut Session,
        transfer: &str,
    ) -> Result<Option<Correction>, WriteError> {
        let Some(mut found) = table::of_transfer(session.tx(), transfer).await? else {
            return Ok(None);
        };
        if found.status != Status::Approved {
            return Ok(None);
        }
        self.settle(session, &mut found, &Actor::system("feed"))
            .await?;
        table::update(session.tx(), &found).await?;
        Ok(Some(found))
    }

    /// Sum of a book's open corrections, inside the transaction.
    ///
    /// # Errors
    /// As [`table::open_in`].
    pub async fn open(
        &self,
        session: &mut Session,
        book: &BookId,
    ) -> Result<table::Open, WriteError> {
        table::open_in(session.tx(), book).await
    }
}

/// 409 `would_go_negative`.
pub fn would_go_negative() -> Problem {
    let detail = "The balance would fall below the book's floor.";
    Problem::conflict("would_go_negative", detail).refused()
}

fn overflow() -> Problem {
    Problem::conflict("overflow", "The book's sums would leave 128 bits.").refused()
}

/// 409 `invalid_state` of an event that is to be redriven or rejected.
pub fn wrong_event_state(state: State) -> Problem {
    let detail = format!("An event that is {} cannot take this step.", state.as_str());
    Problem::conflict("invalid_state", detail).refused()
}

fn emitted(status: Status) -> &'static str {
    match status {
        Status::Proposed => "shadow.correction.proposed",
        Status::Approved => "shadow.correction.approved",
        Status::Applied => "shadow.correction.applied",
        Status::Rejected => "shadow.correction.rejected",
        Status::Reversed => "shadow.correction.reversed",
    }
}
