//! A run of the rules over a book: read, match in a thread of its own, write in one commit
//! (contract D2; `match.mid`).

use florin_platform::http::problem::{Problem, Status};
use florin_platform::sql::{Arg, SqlError, query};
use serde_json::json;

use super::engine;
use super::gather::{Gathered, NoStatement, Period, gather};
use super::item::{Match, Open, Outcome, Reason, Set, Side};
use super::measures::{Lines, StageClock};
use super::service::Reconciler;
use super::summary::{self, ItemRow};
use crate::model::BookId;
use crate::model::amount::split;
use crate::statements::stored::StoredLine;
use crate::store::bulk::{self, Marks};
use crate::store::{Actor, NewRecord, Session, WriteError, failpoint};

/// Kind of the records of a run.
pub const RECORD: &str = "reconciliation";
/// Tries of a run that others got in the way of.
const TRIES: usize = 3;

/// Text that inserts the items of matches.
pub(super) const INSERT_ITEMS: &str = "INSERT INTO shadow_match_items (match_number, side, item,
    statement, n, day, m0, m1, m2, is_taken)";

/// Text that inserts matches.
pub(super) const INSERT_MATCHES: &str = "INSERT INTO shadow_matches (number, id, account_id,
    currency, scale, reconciliation, rule, interchangeable, state, variance, correction, reason,
    actor, created_at, log_seq)";

/// A run that was asked for.
#[derive(Debug, Clone)]
pub struct Run {
    /// Number in the tables.
    pub number: i64,
    /// `reconciliationId`.
    pub id: String,
    /// Which book.
    pub book: BookId,
    /// Which days.
    pub period: Period,
    /// Which rules: R1 to R4.
    pub rules: [bool; 4],
    /// Who.
    pub actor: Actor,
}

/// What is to be written.
struct Found {
    gathered: Gathered,
    outcome: Outcome,
}

impl Reconciler {
    /// Does a run to its end; a failure is written down with the run.
    ///
    /// # Errors
    /// The store's.
    pub async fn perform(&self, run: Run) -> Result<(), Problem> {
        let _turn = self.turn().await;
        self.undo_flipped().await?;
        let mut failed = None;
        for _ in 0..TRIES {
            match self.attempt(&run).await {
                Ok(()) => return Ok(()),
                // Others matched the same items meanwhile, or the bridge saw half of a change.
                Err(Stop::Again(problem)) => failed = Some(problem),
                Err(Stop::Failed(problem)) => {
                    failed = Some(problem);
                    break;
                }
            }
        }
        let problem = failed.unwrap_or_else(|| Problem::internal("a run without an end"));
        self.note_failed(&run, &problem).await?;
        Ok(())
    }

    async fn attempt(&self, run: &Run) -> Result<(), Stop> {
        let gathered = gather(self.shadow(), &run.book, run.period).await;
        let gathered = match gathered.map_err(Stop::from)? {
            Ok(gathered) => gathered,
            Err(NoStatement) => {
                let detail = "No statement of this book is known.";
                let problem =
                    Problem::new(Status::UnprocessableEntity, "statement_missing", detail);
                return Err(Stop::Failed(problem));
            }
        };
        if !gathered.terms.holds() {
            let detail = format!(
                "The bridge does not hold: {:?} minor units are unexplained.",
                gathered.terms.rest()
            );
            return Err(Stop::Again(Problem::conflict("bridge_broken", detail)));
        }
        let rules = run.rules;
        let found = tokio::task::spawn_blocking(move || {
            let mut gathered = gathered;
            let mut clock = StageClock::default();
            let outcome = engine::run(&mut gathered.input, rules, &mut |stage| clock.note(stage));
            Found { gathered, outcome }
        });
        let found = found
            .await
            .map_err(|error| Stop::Failed(Problem::internal(error)))?;
        self.write(run.clone(), found).await
    }

    async fn write(&self, run: Run, found: Found) -> Result<(), Stop> {
        let marks = bulk::marks_of(self.shadow().db());
        let ids: Vec<String> = found
            .outcome
            .matches
            .iter()
            .map(|_| self.new_id())
            .collect();
        let lines = Lines::of(&found.outcome);
        let written = self.shadow().write_at("match.mid", move |session| {
            Box::pin(async move {
                write(session, marks, &run, found, ids).await?;
                Ok(())
            })
        });
        written.await.map_err(Stop::from)?;
        lines.tell();
        Ok(())
    }

    async fn note_failed(&self, run: &Run, problem: &Problem) -> Result<(), WriteError> {
        let (number, actor, book) = (run.number, run.actor.clone(), run.book.clone());
        let id = run.id.clone();
        let text = json!({ "code": problem.code(), "detail": problem.detail() }).to_string();
        self.shadow()
            .write(move |session| {
                Box::pin(async move {
                    let now = session.now();
                    let update = query(
                        "UPDATE shadow_reconciliations SET state = 'failed', problem = $2,
                            finished_at = $3 WHERE number = $1",
                    )
                    .bind(number)
                    .bind(&text)
                    .bind(now);
                    session.tx().execute(update).await?;
                    let body = json!({ "reconciliationId": id, "state": "failed" });
                    let record = NewRecord::new(RECORD, actor, &body)
                        .about(&book)
                        .subject(id)
                        .emits("shadow.reconciliation.finished");
                    session.append(record);
                    Ok(())
                })
            })
            .await
    }
}

/// Why a try ended.
enum Stop {
    /// Another try may do better.
    Again(Problem),
    /// It will not.
    Failed(Problem),
}

impl From<WriteError> for Stop {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Store(SqlError::Duplicate(_)) => Self::Again(error.into()),
            other => Self::Failed(other.into()),
        }
    }
}

async fn write(
    session: &mut Session,
    marks: Marks,
    run: &Run,
    found: Found,
    ids: Vec<String>,
) -> Result<(), WriteError> {
    let Found { gathered, outcome } = &found;
    if gathered.begin.1 {
        write_begin(session, run, gathered).await?;
    }
    let record = NewRecord::new(
        RECORD,
        run.actor.clone(),
        &json!({
            "reconciliationId": run.id,
            "state": "done",
            "logSeq": gathered.log_seq,
            "matches": outcome.matches.len(),
        }),
    );
    let record = record.about(&run.book).subject(&run.id);
    let finished = session.append(record.emits("shadow.reconciliation.finished"));
    let mut created = 0;
    if !outcome.matches.is_empty() {
        let body = json!({ "reconciliationId": run.id, "count": outcome.matches.len() });
        let record = NewRecord::new("match", run.actor.clone(), &body).about(&run.book);
        created = session.append(record.subject(&run.id).emits("shadow.match.created"));
    }
    write_matches(session, marks, run, &found, &ids, created).await?;
    failpoint::reach("match.mid");
    write_reasons(session, marks, &found).await?;
    let rows = item_rows(&found, &ids);
    let summary = summary::make(session.tx(), run, gathered, outcome).await?;
    let mut place = 0;
    let rows = rows.into_iter().map(|row| {
        place += 1;
        row.args(run.number, place)
    });
    bulk::insert(session.tx(), marks, summary::INSERT, "", rows.collect()).await?;
    let now = session.now();
    let update = query(
        "UPDATE shadow_reconciliations SET state = 'done', summary = $2, finished_at = $3,
            log_seq = $4 WHERE number = $1",
    )
    .bind(run.number)
    .bind(summary)
    .bind(now)
    .bind(gathered.log_seq);
    session.tx().execute(update).await?;
    tracing::debug!(run = run.number, record = finished, "reconciliation done");
    Ok(())
}

async fn write_begin(
    session: &mut Session,
    run: &Run,
    gathered: &Gathered,
) -> Result<(), WriteError> {
    let begin = &gathered.begin.0;
    let insert = query(
        "INSERT INTO shadow_reconciled_books (account_id, currency, start_day, statement, log_seq,
            bank_opening, shadow_balance, start_difference)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
    )
    .bind(&run.book.account_id)
    .bind(&run.book.currency)
    .bind(begin.start_day.0)
    .bind(begin.statement)
    .bind(begin.log_seq)
    .bind(begin.bank_opening.to_string())
    .bind(begin.shadow_balance.to_string())
    .bind(begin.difference().to_string());
    session.tx().execute(insert).await?;
    Ok(())
}

/// The number of the next match.
pub(super) async fn next_match(session: &mut Session) -> Result<i64, WriteError> {
    let next = query("SELECT COALESCE(MAX(number), 0) + 1 AS next FROM shadow_matches");
    let row = session.tx().fetch_optional(next).await?;
    Ok(row.ok_or(WriteError::Damaged("matches"))?.get("next")?)
}

async fn write_matches(
    session: &mut Session,
    marks: Marks,
    run: &Run,
    found: &Found,
    ids: &[String],
    created: i64,
) -> Result<(), WriteError> {
    let Found { gathered, outcome } = found;
    if outcome.matches.is_empty() {
        return Ok(());
    }
    let first = next_match(session).await?;
    let now = session.now();
    let mut matches = Vec::with_capacity(outcome.matches.len());
    let mut items = Vec::with_capacity(2 * outcome.matches.len());
    for ((number, one), id) in (first..).zip(&outcome.matches).zip(ids) {
        matches.push(vec![
            number.into(),
            id.into(),
            run.book.account_id.as_str().into(),
            run.book.currency.as_str().into(),
            i64::from(gathered.scale).into(),
            run.number.into(),
            one.rule.word().into(),
            one.interchangeable.into(),
            "active".into(),
            "0".into(),
            None::<String>.into(),
            None::<String>.into(),
            run.actor.subject.as_str().into(),
            now.into(),
            created.into(),
        ]);
        items.extend(match_items(number, one, gathered));
    }
    let last = first + matches.len() as i64 - 1;
    bulk::insert(session.tx(), marks, INSERT_MATCHES, "", matches).await?;
    bulk::insert(session.tx(), marks, INSERT_ITEMS, "", items).await?;
    let close = query(
        "UPDATE shadow_lines SET is_open = FALSE, reason = NULL, candidates = NULL
         FROM shadow_match_items AS i WHERE i.match_number >= $1 AND i.match_number <= $2
            AND i.side = 'L' AND shadow_lines.statement = i.statement AND shadow_lines.n = i.n",
    )
    .bind(first)
    .bind(last);
    session.tx().execute(close).await?;
    Ok(())
}

fn match_items(number: i64, one: &Match, gathered: &Gathered) -> Vec<Vec<Arg>> {
    let mut rows = Vec::new();
    for (side, word) in [(Side::Line, "L"), (Side::Entry, "E")] {
        for index in one.set.side(side) {
            let item = &gathered.input.side(side)[*index as usize];
            let line = match side {
                Side::Line => gathered.stored_line(*index),
                Side::Entry => None,
            };
            let [m0, m1, m2] = split(item.amount);
            rows.push(vec![
                number.into(),
                word.into(),
                (&*item.id).into(),
                line.map(|line| line.statement).into(),
                line.map(|line| line.n).into(),
                i64::from(item.day).into(),
                m0.into(),
                m1.into(),
                m2.into(),
                true.into(),
            ]);
        }
    }
    rows
}

impl Gathered {
    /// The stored line of an item of the input, which the run has sorted.
    fn stored_line(&self, index: u32) -> Option<&StoredLine> {
        let id = &self.input.lines[index as usize].id;
        self.lines.get(*self.line_places.get(id)? as usize)
    }
}

/// Names the items of a set.
pub(super) fn names(gathered: &Gathered, set: &Set) -> serde_json::Value {
    let ids = |side: Side| -> Vec<&str> {
        let items = gathered.input.side(side);
        set.side(side)
            .iter()
            .map(|index| &*items[*index as usize].id)
            .collect()
    };
    json!({ "lines": ids(Side::Line), "entries": ids(Side::Entry) })
}

fn candidates(gathered: &Gathered, open: &Open) -> Option<String> {
    let Open::Ambiguous(rivals) = open else {
        return None;
    };
    let sets: Vec<_> = rivals
        .candidates
        .iter()
        .map(|set| names(gathered, set))
        .collect();
    Some(json!({ "count": rivals.count, "sets": sets }).to_string())
}

/// Lines say why they are open; only those whose word changes are written.
async fn write_reasons(
    session: &mut Session,
    marks: Marks,
    found: &Found,
) -> Result<(), WriteError> {
    let mut rows: Vec<Vec<Arg>> = Vec::new();
    for (index, open) in &found.outcome.lines {
        let Some(line) = found.gathered.stored_line(*index) else {
            continue;
        };
        let candidates = candidates(&found.gathered, open);
        let reason = match open {
            Open::Unmatched(Reason::NoCandidate | Reason::PossibleDuplicateLine) => None,
            Open::Unmatched(reason) => Some(reason.word().to_owned()),
            Open::Ambiguous(_) => None,
        };
        if line.reason != reason || line.candidates != candidates {
            rows.push(vec![
                line.statement.into(),
                line.n.into(),
                reason.into(),
                candidates.into(),
            ]);
        }
    }
    const UPDATE: &str =
        "UPDATE shadow_lines SET reason = v.column3, candidates = v.column4 FROM (";
    const BY_LINE: &str = ") AS v WHERE shadow_lines.statement = v.column1
        AND shadow_lines.n = v.column2";
    bulk::insert(session.tx(), marks, UPDATE, BY_LINE, rows).await?;
    Ok(())
}

/// The items of the report: open lines, open entries, then what this run matched.
fn item_rows(found: &Found, ids: &[String]) -> Vec<ItemRow> {
    let Found { gathered, outcome } = found;
    let mut rows = Vec::new();
    for (side, list) in [
        (Side::Line, &outcome.lines),
        (Side::Entry, &outcome.entries),
    ] {
        for (index, open) in list {
            if side == Side::Entry && gathered.is_early(*index) {
                continue;
            }
            let item = &gathered.input.side(side)[*index as usize];
            let reason = match open {
                Open::Unmatched(reason) => Some(reason.word()),
                Open::Ambiguous(_) => None,
            };
            rows.push(ItemRow {
                candidates: candidates(gathered, open),
                status: if reason.is_some() {
                    "unmatched"
                } else {
                    "ambiguous"
                },
                reason,
                ..ItemRow::of(side, item)
            });
        }
        for waiting in &gathered.waiting {
            if (waiting.item.side == "L") == (side == Side::Line) {
                rows.push(ItemRow::waiting(side, waiting));
            }
        }
    }
    for (_, item) in &gathered.left {
        rows.push(ItemRow {
            amount: -item.amount,
            reason: Some(Reason::EntryNotApplied.word()),
            ..ItemRow::of(Side::Entry, item)
        });
    }
    for (one, id) in outcome.matches.iter().zip(ids) {
        let before_start = gathered.is_before_start(&one.set);
        for side in [Side::Line, Side::Entry] {
            for index in one.set.side(side) {
                let item = &gathered.input.side(side)[*index as usize];
                // A line whose entries are all in the difference of the start is listed as open.
                let open = before_start && side == Side::Line;
                rows.push(ItemRow {
                    status: "matched",
                    reason: open.then_some(Reason::OutsideWindow.word()),
                    match_id: (!open).then(|| id.clone()),
                    rule: Some(one.rule.word().to_owned()),
                    ..ItemRow::of(side, item)
                });
            }
        }
    }
    rows
}
