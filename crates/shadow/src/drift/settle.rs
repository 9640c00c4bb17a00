//! The second pass of a check: what was explained is decided, and what follows is proposed or
//! posted in the same transaction that makes sure that nothing has moved meanwhile (INV-S16,
//! INV-S17).

use florin_platform::sql::query;

use super::decide::{self, Action, Facts, Mismatch};
use super::explain::{Explanation, Remedy, Solution};
use super::force::InForce;
use super::found;
use super::prepare::{Prepared, TRIES_MAX, Unit};
use super::run::{Checker, Tries, actor_of};
use super::table::Check;
use crate::corrections::doors::propose_redrive;
use crate::corrections::ids;
use crate::corrections::model::{Correction, Proposal};
use crate::corrections::rules::{Door, Kind, POLICY, Status};
use crate::corrections::steps::Desk;
use crate::corrections::table as corrections;
use crate::model::BookId;
use crate::store::{Actor, Session, WriteError};

/// Microseconds of a UTC day.
const DAY_MICROS: i64 = 86_400_000_000;

/// How often each difference was tried.
pub(super) type Attempts = Tries;

impl Checker {
    /// Settles units in one transaction. A unit whose book or corrections moved stays unsettled
    /// and is prepared anew; after some tries people must look.
    pub(super) async fn settle(
        &self,
        check: &Check,
        policy: &InForce,
        units: Vec<Unit>,
        attempts: &mut Attempts,
    ) -> Result<(), WriteError> {
        for unit in &units {
            for prepared in &unit.0 {
                *attempts.entry(prepared.found.n).or_default() += 1;
            }
        }
        let last_try: Vec<bool> = units
            .iter()
            .map(|unit| {
                let tries = |p: &Prepared| attempts.get(&p.found.n).copied().unwrap_or(0);
                unit.0.iter().any(|p| tries(p) >= TRIES_MAX)
            })
            .collect();
        let desk = self.corrections().desk().clone();
        let (check, policy) = (check.clone(), policy.clone());
        self.shadow()
            .write(move |session| {
                Box::pin(async move {
                    let mut made = 0;
                    for (mut unit, last) in units.into_iter().zip(last_try) {
                        if unmoved(session, &check, &unit).await? {
                            made += settle_unit(session, &desk, &check, &policy, &mut unit).await?;
                        } else if last {
                            leave_to_people(&mut unit);
                        } else {
                            continue;
                        }
                        for prepared in &unit.0 {
                            found::settle(session.tx(), &check.id, &prepared.found).await?;
                        }
                    }
                    let text = "UPDATE shadow_drift_checks SET corrections = corrections + $2
                        WHERE check_id = $1";
                    let update = query(text).bind(&check.id).bind(made);
                    session.tx().execute(update).await?;
                    Ok(())
                })
            })
            .await
    }
}

fn leave_to_people(unit: &mut Unit) {
    for prepared in &mut unit.0 {
        prepared.found.mismatch = mismatch(prepared);
        prepared.found.action = Some(Action::ManualReviewRequired);
    }
}

/// Nothing that was looked at has changed: neither the books nor their open corrections.
async fn unmoved(session: &mut Session, check: &Check, unit: &Unit) -> Result<bool, WriteError> {
    for prepared in &unit.0 {
        let found = &prepared.found;
        let text = "SELECT log_seq FROM shadow_books WHERE account_id = $1 AND currency = $2";
        let statement = query(text)
            .bind(&found.book.account_id)
            .bind(&found.book.currency);
        if let Some(row) = session.tx().fetch_optional(statement).await?
            && row.get::<i64>("log_seq")? > found.log_seq
            && own(session, check, &found.book).await?.is_none()
        {
            return Ok(false);
        }
        let open = corrections::open_in(session.tx(), &found.book).await?;
        if open != prepared.open && own(session, check, &found.book).await?.is_none() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The correction that this check has made for the book already.
async fn own(
    session: &mut Session,
    check: &Check,
    book: &BookId,
) -> Result<Option<Correction>, WriteError> {
    let id = ids::of_check(&check.id, &book.account_id, &book.currency);
    corrections::find_in(session.tx(), &id).await
}

/// Decides about a unit and does it; answers how many corrections were made.
async fn settle_unit(
    session: &mut Session,
    desk: &Desk,
    check: &Check,
    policy: &InForce,
    unit: &mut Unit,
) -> Result<i64, WriteError> {
    let pair = unit.0.len() == 2;
    let mut actions = Vec::with_capacity(unit.0.len());
    for prepared in &mut unit.0 {
        prepared.found.mismatch = mismatch(prepared);
        if let Some(made) = own(session, check, &prepared.found.book).await? {
            // Made before a crash: the check goes on where it stood.
            prepared.found.action = Some(action_of(&made));
            prepared.found.correction = Some((made.id, made.status.as_str().to_owned()));
            return Ok(0);
        }
        actions.push(wanted(session, desk, policy, prepared, pair).await?);
    }
    // A pair is posted by the machine only if both legs may be.
    let action = match actions.iter().any(|action| *action != actions[0]) {
        true if actions.iter().all(|a| a.makes_one()) => Action::Proposed,
        _ => actions[0],
    };
    if !action.makes_one() {
        for (prepared, action) in unit.0.iter_mut().zip(actions) {
            prepared.found.action = Some(action);
            if action == Action::Pending {
                let first = prepared.open.first.clone();
                prepared.found.correction =
                    first.map(|(id, status)| (id, status.as_str().to_owned()));
            }
        }
        return Ok(0);
    }
    let Some(made) = propose(session, desk, check, unit).await? else {
        for prepared in &mut unit.0 {
            prepared.found.action = Some(Action::ManualReviewRequired);
        }
        return Ok(0);
    };
    let mut legs = made;
    if action == Action::AutoCorrected {
        let actor = Actor {
            trace_id: check.trace_id.clone(),
            ..Actor::system(POLICY)
        };
        let reason = legs[0].reason.clone();
        if let Ok(applied) = desk.approve(session, &legs[0].id, &actor, &reason).await? {
            legs = applied;
        }
    }
    for prepared in &mut unit.0 {
        let leg = legs.iter().find(|leg| leg.book == prepared.found.book);
        prepared.found.action = leg.map(action_of);
        prepared.found.correction = leg.map(|leg| (leg.id.clone(), leg.status.as_str().to_owned()));
    }
    Ok(i64::try_from(legs.len()).unwrap_or(0))
}

fn action_of(made: &Correction) -> Action {
    match (made.status, made.approved_by.as_deref()) {
        (Status::Applied | Status::Approved, Some(POLICY)) => Action::AutoCorrected,
        _ => Action::Proposed,
    }
}

fn facts_of<'a>(prepared: &'a Prepared, pair: bool) -> Facts<'a> {
    let found = &prepared.found;
    Facts {
        known: found.known,
        linked: found.linked,
        difference: found.difference(),
        tolerated: found.tolerated,
        covered: prepared.covered,
        explanation: prepared.explanation.as_ref(),
        pair_agrees: pair,
        reported: found.reported,
        spent_today: 0,
        limits: super::policy::AutoLimits::default(),
        mode: super::policy::Mode::Report,
    }
}

fn mismatch(prepared: &Prepared) -> Mismatch {
    decide::mismatch(&facts_of(prepared, false))
}

async fn wanted(
    session: &mut Session,
    desk: &Desk,
    policy: &InForce,
    prepared: &mut Prepared,
    pair: bool,
) -> Result<Action, WriteError> {
    let book = prepared.found.book.clone();
    let day = session.now().div_euclid(DAY_MICROS);
    let spent = corrections::auto_spent(session.tx(), &book, day).await?;
    let facts = Facts {
        spent_today: spent,
        limits: desk.control().auto_limits(&book.currency),
        mode: policy.mode(),
        ..facts_of(prepared, pair)
    };
    let action = decide::action(&facts);
    let plug = desk.control().compat
        && facts.known
        && !facts.linked
        && !matches!(action, Action::None | Action::Pending);
    if plug {
        prepared.explanation = Some(plugged(prepared));
        return Ok(Action::AutoCorrected);
    }
    Ok(action)
}

/// The compat profile posts the difference itself, whatever explains it.
fn plugged(prepared: &Prepared) -> Explanation {
    let found = &prepared.found;
    let solution = Solution {
        class: super::explain::Class::Missing,
        basis: super::explain::Basis::Pattern,
        events: Vec::new(),
        lines: Vec::new(),
        terms: vec![prepared.net],
        remedy: Remedy::Entry {
            amount: prepared.net,
            at: found.as_of.unwrap_or(i64::MAX),
            cause: None,
            line: None,
        },
        proven: true,
    };
    Explanation {
        class: solution.class,
        basis: Some(solution.basis),
        solution: Some(solution),
        rivals: 0,
        bounded: false,
        others: Vec::new(),
        pattern_rivals: Vec::new(),
    }
}

/// Writes the proposals of a unit; `None` when an event can no longer be redriven.
async fn propose(
    session: &mut Session,
    desk: &Desk,
    check: &Check,
    unit: &Unit,
) -> Result<Option<Vec<Correction>>, WriteError> {
    let actor = actor_of(check);
    let id_of = |book: &BookId| ids::of_check(&check.id, &book.account_id, &book.currency);
    let now_ms = session.now() / 1_000;
    let mut made = Vec::with_capacity(unit.0.len());
    for (at, prepared) in unit.0.iter().enumerate() {
        let Some(solution) = prepared.explanation.as_ref().and_then(Explanation::unique) else {
            return Ok(None);
        };
        let book = &prepared.found.book;
        let mut proposal = Proposal {
            kind: Kind::Auto,
            door: Door::Check,
            reason: reason_of(check, solution),
            check_id: Some(check.id.clone()),
            ..Proposal::new(id_of(book), book.clone(), prepared.net, now_ms)
        };
        match &solution.remedy {
            Remedy::Wait | Remedy::People => return Ok(None),
            Remedy::Redrive { event_id, .. } => {
                let redriven = propose_redrive(session, desk, event_id, &actor, |redrive| {
                    redrive.door = Door::Check;
                    redrive.reason = proposal.reason;
                    redrive.check_id = proposal.check_id;
                    redrive.line_id = solution.lines.first().cloned();
                })
                .await?;
                match redriven {
                    Ok(correction) => made.push(correction),
                    Err(_) => return Ok(None),
                }
                continue;
            }
            Remedy::Entry {
                amount,
                at,
                cause,
                line,
            } => {
                proposal.signed = *amount;
                proposal.timestamp = (*at).min(now_ms);
                proposal.cause = cause.clone();
                proposal.line_id = line.clone().or_else(|| solution.lines.first().cloned());
            }
            Remedy::Pair {
                amount,
                at: instant,
                cause,
                ..
            } => {
                let other = unit.0.get(1 - at.min(1)).map(|other| &other.found.book);
                proposal.kind = Kind::Pair;
                proposal.signed = *amount;
                proposal.timestamp = *instant;
                proposal.cause = Some(cause.clone());
                proposal.partner = other.map(id_of);
            }
        }
        match desk.propose(session, proposal, &actor).await? {
            Ok(correction) => made.push(correction),
            Err(_) if at == 0 => return Ok(None),
            Err(problem) => return Err(WriteError::Refused(problem)),
        }
    }
    Ok(Some(made))
}

fn reason_of(check: &Check, solution: &Solution) -> String {
    format!(
        "Drift check {}: {} ({})",
        check.id,
        solution.class,
        solution.basis.as_str()
    )
}
