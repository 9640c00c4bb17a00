//! Matches as they are written and undone, inside a transaction of the log.

use florin_platform::sql::{Arg, Row, query};
use serde_json::json;

use super::item::Rule;
use super::run::{INSERT_ITEMS, INSERT_MATCHES, next_match};
use crate::model::BookId;
use crate::model::amount::split;
use crate::statements::day::Day;
use crate::statements::stored::parse_line_id;
use crate::statements::tables;
use crate::store::bulk::{self, Marks};
use crate::store::{Actor, NewRecord, Session, WriteError};

/// Kind of the records of matches.
pub const RECORD: &str = "match";
/// Why a match is undone whose entry counts no more.
pub const UNDO_FLIPPED: &str = "entry_flipped";
/// An item of a match about to be made.
pub(super) struct Picked {
    pub(super) side: &'static str,
    pub(super) id: String,
    pub(super) place: Option<(i64, i64)>,
    pub(super) day: Day,
    pub(super) amount: i128,
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
pub(super) struct NewMatch<'a> {
    pub(super) id: &'a str,
    pub(super) book: &'a BookId,
    pub(super) scale: u8,
    pub(super) rule: Rule,
    pub(super) proposed: bool,
    pub(super) variance: i128,
    pub(super) correction: Option<&'a str>,
    pub(super) reason: &'a str,
}

pub(super) async fn line_book(
    session: &mut Session,
    statement_id: &str,
) -> Result<BookId, WriteError> {
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

pub(super) async fn is_taken(session: &mut Session, event: &str) -> Result<bool, WriteError> {
    let text =
        "SELECT 1 AS one FROM shadow_match_items WHERE side = 'E' AND item = $1 AND is_taken";
    let row = session.tx().fetch_optional(query(text).bind(event)).await?;
    Ok(row.is_some())
}

pub(super) async fn write_match(
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
