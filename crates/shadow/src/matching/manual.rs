//! Matches by hand, their undoing, and what people decide about lines (contract D2).

use florin_platform::http::problem::{Problem, Status};
use florin_platform::sql::{Arg, Row, query};
use serde_json::json;

use super::item::Rule;
use super::run::{INSERT_ITEMS, INSERT_MATCHES, next_match};
use super::service::Reconciler;
use crate::corrections::model::Proposal;
use crate::corrections::rules::Kind;
use crate::model::amount::split;
use crate::model::{BookId, State};
use crate::statements::csv::zone_minutes;
use crate::statements::day::Day;
use crate::statements::problem::exact;
use crate::statements::stored::{StoredLine, parse_line_id};
use crate::statements::tables;
use crate::store::bulk::{self, Marks};
use crate::store::{Actor, NewRecord, Session, WriteError};

/// Kind of the records of matches.
pub const RECORD: &str = "match";
/// Why a match is undone whose entry counts no more.
pub const UNDO_FLIPPED: &str = "entry_flipped";
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

/// An item of a match about to be made.
struct Picked {
    side: &'static str,
    id: String,
    place: Option<(i64, i64)>,
    day: Day,
    amount: i128,
}

impl Picked {
    fn args(&self, number: i64) -> Vec<Arg> {
        let [m0, m1, m2] = split(self.amount);
        vec![
            number.into(),
            self.side.into(),
            self.id.as_str().into(),
            self.place.map(|place| place.0).into(),
            self.place.map(|place| place.1).into(),
            i64::from(self.day.0).into(),
            m0.into(),
            m1.into(),
            m2.into(),
            true.into(),
        ]
    }
}

/// A match about to be written.
struct NewMatch<'a> {
    id: &'a str,
    book: &'a BookId,
    scale: u8,
    rule: Rule,
    proposed: bool,
    variance: i128,
    correction: Option<&'a str>,
    reason: &'a str,
}

impl Reconciler {
    /// Makes a match by hand; answers its id.
    ///
    /// # Errors
    /// 404 `line_not_found`, `event_not_found`; 409 `already_matched`; 422 `account_mismatch`,
    /// `entry_not_applied`, `sums_differ`; else the store's.
    pub async fn match_by_hand(
        &self,
        wanted: ManualMatch,
        actor: &Actor,
    ) -> Result<String, Problem> {
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
        let marks = bulk::marks_of(self.shadow().db());
        let (desk, actor, made) = (self.desk().clone(), actor.clone(), id.clone());
        let written = self.shadow().write_at("match.mid", move |session| {
            Box::pin(async move {
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
                Ok(())
            })
        });
        written.await?;
        Ok(id)
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

async fn line_book(session: &mut Session, statement_id: &str) -> Result<BookId, WriteError> {
    let text = "SELECT account_id, currency FROM shadow_statements WHERE id = $1";
    let row = session
        .tx()
        .fetch_optional(query(text).bind(statement_id))
        .await?;
    let row: Row = row.ok_or(WriteError::Damaged("statement"))?;
    Ok(BookId::new(
        row.get::<String>("account_id")?,
        row.get::<String>("currency")?,
    ))
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

async fn is_taken(session: &mut Session, event: &str) -> Result<bool, WriteError> {
    let text =
        "SELECT 1 AS one FROM shadow_match_items WHERE side = 'E' AND item = $1 AND is_taken";
    let row = session.tx().fetch_optional(query(text).bind(event)).await?;
    Ok(row.is_some())
}

async fn write_match(
    session: &mut Session,
    marks: Marks,
    new: &NewMatch<'_>,
    picked: &[Picked],
    actor: &Actor,
) -> Result<(), WriteError> {
    let number = next_match(session).await?;
    let ids = |side: &str| -> Vec<&str> {
        let of_side = picked.iter().filter(|item| item.side == side);
        of_side.map(|item| item.id.as_str()).collect()
    };
    let state = if new.proposed { "proposed" } else { "active" };
    let body = json!({
        "matchId": new.id,
        "rule": new.rule.word(),
        "state": state,
        "lines": ids("L"),
        "entries": ids("E"),
        "variance": new.variance.to_string(),
        "reason": new.reason,
    });
    let record = NewRecord::new(RECORD, actor.clone(), &body)
        .about(new.book)
        .subject(new.id);
    let log_seq = session.append(record.emits("shadow.match.created"));
    let now = session.now();
    let row = vec![
        number.into(),
        new.id.into(),
        new.book.account_id.as_str().into(),
        new.book.currency.as_str().into(),
        i64::from(new.scale).into(),
        None::<i64>.into(),
        new.rule.word().into(),
        false.into(),
        state.into(),
        new.variance.to_string().into(),
        new.correction.into(),
        new.reason.into(),
        actor.subject.as_str().into(),
        now.into(),
        log_seq.into(),
    ];
    bulk::insert(session.tx(), marks, INSERT_MATCHES, "", vec![row]).await?;
    let items = picked.iter().map(|item| item.args(number)).collect();
    bulk::insert(session.tx(), marks, INSERT_ITEMS, "", items).await?;
    for (statement, n) in picked.iter().filter_map(|item| item.place) {
        let close = query(
            "UPDATE shadow_lines SET is_open = FALSE, reason = NULL, candidates = NULL
             WHERE statement = $1 AND n = $2",
        )
        .bind(statement)
        .bind(n);
        session.tx().execute(close).await?;
    }
    Ok(())
}

/// Undoes a match inside a transaction.
pub(super) async fn undo_in(
    session: &mut Session,
    number: i64,
    actor: &Actor,
    reason: &str,
) -> Result<(), WriteError> {
    let text = "SELECT id, account_id, currency, state FROM shadow_matches WHERE number = $1";
    let row = session
        .tx()
        .fetch_optional(query(text).bind(number))
        .await?;
    let row = row.ok_or(WriteError::Damaged("match"))?;
    let (id, state): (String, String) = (row.get("id")?, row.get("state")?);
    if state == "undone" {
        return Ok(());
    }
    let book = BookId::new(
        row.get::<String>("account_id")?,
        row.get::<String>("currency")?,
    );
    let open = query(
        "UPDATE shadow_lines SET is_open = TRUE FROM shadow_match_items AS i
         WHERE i.match_number = $1 AND i.side = 'L' AND shadow_lines.statement = i.statement
            AND shadow_lines.n = i.n",
    )
    .bind(number);
    session.tx().execute(open).await?;
    let free = query("UPDATE shadow_match_items SET is_taken = FALSE WHERE match_number = $1");
    session.tx().execute(free.bind(number)).await?;
    let now = session.now();
    let update = query(
        "UPDATE shadow_matches SET state = 'undone', undone_at = $2, undone_by = $3,
            undo_reason = $4 WHERE number = $1",
    )
    .bind(number)
    .bind(now)
    .bind(&actor.subject)
    .bind(reason);
    session.tx().execute(update).await?;
    let body = json!({ "matchId": id, "before": state, "state": "undone", "reason": reason });
    let record = NewRecord::new(RECORD, actor.clone(), &body)
        .about(&book)
        .subject(id);
    session.append(record.emits("shadow.match.undone"));
    Ok(())
}

/// A line that a correction follows is matched to the correction's entry when it applies.
pub(super) async fn match_correction(
    session: &mut Session,
    marks: Marks,
    line_id: &str,
    event_id: &str,
    actor: &Actor,
    scale: u8,
    match_id: &str,
) -> Result<(), WriteError> {
    let Some((statement, n)) = parse_line_id(line_id) else {
        return Ok(());
    };
    let Some(line) = tables::line(session.tx(), statement, n).await? else {
        return Ok(());
    };
    let Some(stored) = session.find_event(event_id).await? else {
        return Ok(());
    };
    let book = line_book(session, &line.statement_id).await?;
    let fits = line.is_open
        && stored.event.book() == book
        && stored.event.signed() == line.amount
        && !is_taken(session, event_id).await?;
    if !fits {
        return Ok(());
    }
    let picked = [
        Picked {
            side: "L",
            id: line_id.to_owned(),
            place: Some((line.statement, line.n)),
            day: line.day,
            amount: line.amount,
        },
        Picked {
            side: "E",
            id: event_id.to_owned(),
            place: None,
            day: Day::of_millis(stored.event.timestamp, 0),
            amount: stored.event.signed(),
        },
    ];
    let new = NewMatch {
        id: match_id,
        book: &book,
        scale,
        rule: Rule::Correction,
        proposed: false,
        variance: 0,
        correction: None,
        reason: "correction made from the line",
    };
    write_match(session, marks, &new, &picked, actor).await
}
