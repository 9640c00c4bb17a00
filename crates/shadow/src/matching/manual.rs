//! Matches by hand, their undoing, and what people decide about lines (contract D2).

use florin_platform::http::problem::{Problem, Status};
use florin_platform::sql::query;
use serde_json::json;

use super::item::Rule;
use super::record::{NewMatch, Picked, is_taken, line_book, undo_in, write_match};
use super::service::Reconciler;
use crate::corrections::model::Proposal;
use crate::corrections::rules::Kind;
use crate::model::{BookId, State};
use crate::statements::csv::zone_minutes;
use crate::statements::day::Day;
use crate::statements::problem::exact;
use crate::statements::stored::{StoredLine, parse_line_id};
use crate::statements::tables;
use crate::store::bulk;
use crate::store::keys::Keyed;
use crate::store::{Actor, NewRecord, Session, WriteError};

/// Most items of a match by hand.
pub const ITEMS_MAX: usize = 1_000;

/// A match that a person asks for.
#[derive(Debug, Clone)]
pub struct ManualMatch {
    /// Which book.
    pub book: BookId,
    /// Lines.
    pub lines: Vec<String>,
    /// Entries.
    pub events: Vec<String>,
    /// Why.
    pub reason: String,
    /// The difference that is accepted, minor units.
    pub accept_variance: Option<i128>,
    /// `Idempotency-Key`.
    pub key: Option<String>,
}

impl ManualMatch {
    fn keyed(&self, actor: &Actor) -> Option<Keyed> {
        let variance = self.accept_variance.map(|variance| variance.to_string());
        let asked = vec![
            ("accountId", self.book.account_id.as_str().into()),
            ("currency", self.book.currency.as_str().into()),
            ("lineIds", json!(self.lines)),
            ("eventIds", json!(self.events)),
            ("reason", self.reason.as_str().into()),
            ("acceptVariance", variance.into()),
        ];
        let key = self.key.as_deref()?;
        Some(Keyed::new("match", actor, key, asked))
    }
}

/// What became of [`Reconciler::match_by_hand`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    /// `matchId`.
    pub id: String,
    /// It was made before under the same key.
    pub replayed: bool,
}

fn unprocessable(code: &'static str, detail: impl Into<String>) -> Problem {
    Problem::new(Status::UnprocessableEntity, code, detail.into())
}

fn taken(item: &str) -> Problem {
    Problem::conflict(
        "already_matched",
        format!("`{item}` is in a match already."),
    )
    .refused()
}

fn refuse<T>(problem: Problem) -> Result<T, WriteError> {
    Err(WriteError::Refused(problem))
}

impl Reconciler {
    /// Makes a match by hand, once under its key.
    ///
    /// # Errors
    /// 404 `line_not_found`, `event_not_found`; 409 `already_matched`, `idempotency_conflict`; 422
    /// `account_mismatch`, `entry_not_applied`, `sums_differ`; else the store's.
    pub async fn match_by_hand(&self, wanted: ManualMatch, actor: &Actor) -> Result<Made, Problem> {
        let _turn = self.turn().await;
        let id = self.new_id();
        let scale = self
            .shadow()
            .currencies()
            .scale(&wanted.book.currency)
            .unwrap_or(0);
        let row = crate::store::read::book(self.shadow().db(), &wanted.book).await?;
        let zone = row.and_then(|row| row.zone);
        let offset = zone.as_deref().and_then(zone_minutes).unwrap_or(0);
        let lines = u64::try_from(wanted.lines.len()).unwrap_or(u64::MAX);
        let marks = bulk::marks_of(self.shadow().db());
        let key = wanted.keyed(actor);
        let (desk, actor, made) = (self.desk().clone(), actor.clone(), id);
        let written = self.shadow().write_at("match.mid", move |session| {
            Box::pin(async move {
                if let Some(known) = session.made_under(key.as_ref()).await? {
                    let id = known
                        .as_str()
                        .ok_or(WriteError::Damaged("idempotency key"))?;
                    return Ok(Made {
                        id: id.to_owned(),
                        replayed: true,
                    });
                }
                let picked = pick(session, &wanted, offset).await?;
                let sum = |side: &str| -> i128 {
                    picked
                        .iter()
                        .filter(|item| item.side == side)
                        .map(|item| item.amount)
                        .sum()
                };
                let variance = sum("L") - sum("E");
                if variance != 0 && wanted.accept_variance != Some(variance) {
                    let detail = "The lines and the entries have different sums.";
                    let problem = unprocessable("sums_differ", detail)
                        .with("lines", exact(sum("L"), scale))
                        .with("entries", exact(sum("E"), scale))
                        .with("difference", exact(variance, scale));
                    return refuse(problem);
                }
                let correction = format!("VAR-{made}");
                let new = NewMatch {
                    id: &made,
                    book: &wanted.book,
                    scale,
                    rule: Rule::Manual,
                    proposed: variance != 0,
                    variance,
                    correction: (variance != 0).then_some(correction.as_str()),
                    reason: &wanted.reason,
                };
                write_match(session, marks, &new, &picked, &actor).await?;
                if variance != 0 {
                    let now_ms = session.now() / 1_000;
                    let mut proposal =
                        Proposal::new(&correction, wanted.book.clone(), variance, now_ms);
                    proposal.kind = Kind::Variance;
                    proposal.reason = wanted.reason.clone();
                    proposal.target = Some(made.clone());
                    if let Err(problem) = desk.propose(session, proposal, &actor).await? {
                        return refuse(problem);
                    }
                }
                session.keep_made(key.as_ref(), 201, made.as_str()).await?;
                Ok(Made {
                    id: made,
                    replayed: false,
                })
            })
        });
        let made = written.await?;
        if !made.replayed {
            metrics::counter!("shadow_lines_total", "status" => "matched").increment(lines);
        }
        Ok(made)
    }

    /// Undoes a match: both sides are open again, no other match changes, history stays
    /// (INV-S23).
    ///
    /// # Errors
    /// 404 `match_not_found`, 409 `invalid_state`, else the store's.
    pub async fn undo(&self, id: &str, reason: &str, actor: &Actor) -> Result<(), Problem> {
        let _turn = self.turn().await;
        let (id, reason, actor) = (id.to_owned(), reason.to_owned(), actor.clone());
        let desk = self.desk().clone();
        let undone = self.shadow().write_at("match.mid", move |session| {
            Box::pin(async move {
                let text = "SELECT number, state, correction FROM shadow_matches WHERE id = $1";
                let row = session.tx().fetch_optional(query(text).bind(&id)).await?;
                let Some(row) = row else {
                    return refuse(match_not_found());
                };
                let state: String = row.get("state")?;
                if state == "undone" {
                    let detail = "The match was undone before.";
                    return refuse(Problem::conflict("invalid_state", detail).refused());
                }
                let waiting: Option<String> = row.get("correction")?;
                if let (Some(correction), "proposed") = (waiting, state.as_str()) {
                    // Its rejection undoes the match through the hook.
                    return match desk.reject(session, &correction, &actor, &reason).await? {
                        Ok(_) => Ok(()),
                        Err(problem) => refuse(problem),
                    };
                }
                undo_in(session, row.get("number")?, &actor, &reason).await
            })
        });
        Ok(undone.await?)
    }

    /// Takes a line into automatic matching (`keep`) or out of it for good (`ignore`).
    ///
    /// # Errors
    /// 404 `line_not_found`, 409 `already_matched` or `invalid_state`, else the store's.
    pub async fn decide(
        &self,
        line: &str,
        ignore: bool,
        reason: &str,
        actor: &Actor,
    ) -> Result<(), Problem> {
        let _turn = self.turn().await;
        let (line, reason, actor) = (line.to_owned(), reason.to_owned(), actor.clone());
        let decided = self.shadow().write(move |session| {
            Box::pin(async move {
                let found = find_line(session, &line).await?;
                let word = if ignore { "ignore" } else { "keep" };
                if !found.is_open && found.decision.as_deref() != Some("ignore") {
                    return refuse(taken(&line));
                }
                if found.decision.as_deref() == Some(word) {
                    let detail = format!("The line is decided: {word}.");
                    return refuse(Problem::conflict("invalid_state", detail).refused());
                }
                let update = query(
                    "UPDATE shadow_lines SET decision = $3, is_open = $4, candidates = NULL,
                        reason = NULL WHERE statement = $1 AND n = $2",
                )
                .bind(found.statement)
                .bind(found.n)
                .bind(word)
                .bind(!ignore);
                session.tx().execute(update).await?;
                let book = line_book(session, &found.statement_id).await?;
                let body = json!({ "lineId": line, "decision": word, "before": found.decision,
                    "reason": reason });
                let record = NewRecord::new("line", actor, &body)
                    .about(&book)
                    .subject(line);
                session.append(record);
                Ok(())
            })
        });
        Ok(decided.await?)
    }
}

/// 404 `match_not_found`.
pub fn match_not_found() -> Problem {
    Problem::not_found("match_not_found", "There is no such match.")
}

fn line_not_found(id: &str) -> Problem {
    Problem::not_found("line_not_found", format!("There is no line `{id}`."))
}

async fn find_line(session: &mut Session, id: &str) -> Result<StoredLine, WriteError> {
    let Some((statement, n)) = parse_line_id(id) else {
        return refuse(line_not_found(id));
    };
    match tables::line(session.tx(), statement, n).await? {
        Some(line) => Ok(line),
        None => refuse(line_not_found(id)),
    }
}

async fn pick(
    session: &mut Session,
    wanted: &ManualMatch,
    offset: i32,
) -> Result<Vec<Picked>, WriteError> {
    let mismatch =
        |item: &str| unprocessable("account_mismatch", format!("`{item}` is of another book."));
    let mut picked = Vec::new();
    for id in &wanted.lines {
        let line = find_line(session, id).await?;
        if line_book(session, &line.statement_id).await? != wanted.book {
            return refuse(mismatch(id));
        }
        if !line.is_open {
            return refuse(taken(id));
        }
        picked.push(Picked {
            side: "L",
            id: id.clone(),
            place: Some((line.statement, line.n)),
            day: line.day,
            amount: line.amount,
        });
    }
    for id in &wanted.events {
        let Some(stored) = session.find_event(id).await? else {
            let detail = format!("There is no event `{id}`.");
            return refuse(Problem::not_found("event_not_found", detail));
        };
        let event = &stored.event;
        if event.book() != wanted.book {
            return refuse(mismatch(id));
        }
        if stored.state != State::Applied {
            let detail = format!("The event `{id}` is no entry.");
            return refuse(unprocessable("entry_not_applied", detail));
        }
        if is_taken(session, id).await? {
            return refuse(taken(id));
        }
        picked.push(Picked {
            side: "E",
            id: id.clone(),
            place: None,
            day: Day::of_millis(event.timestamp, offset),
            amount: event.signed(),
        });
    }
    Ok(picked)
}
