//! Scans that were recorded, and undoing one of them.

use std::collections::BTreeMap;

use florin_platform::http::problem::Problem;
use florin_platform::sql::{Db, Query, Row, query};

use super::Facts;
use super::settle::{load_past, settle_all};
use super::settled::Judged;
use crate::Ticketing;
use crate::api::problem::conflict;
use crate::store::bulk::Marks;
use crate::tickets;

/// A recorded scan. Times are microseconds.
#[derive(Debug, Clone)]
pub struct CheckIn {
    /// Its id.
    pub id: String,
    /// At which event.
    pub event_id: String,
    /// Of which ticket, if one was found.
    pub ticket_id: Option<String>,
    /// The scan's own id.
    pub nonce: String,
    /// Which scanner.
    pub device_id: String,
    /// Which gate.
    pub gate: Option<String>,
    /// Which area.
    pub area: Option<i64>,
    /// `in` or `out`.
    pub direction: String,
    /// Judged here when it happened.
    pub online: bool,
    /// The scanner's bundle was too old.
    pub stale_bundle: bool,
    /// As the scanner said.
    pub scanned_at: i64,
    /// When it counts as having happened.
    pub effective_at: i64,
    /// When it became known.
    pub recorded_at: i64,
    /// Somebody passed.
    pub admitted: bool,
    /// Why.
    pub reason: String,
    /// It counts.
    pub counted: bool,
    /// What is odd about it.
    pub conflict: Option<String>,
    /// When it was undone.
    pub undone_at: Option<i64>,
}

const COLUMNS: &str = "id, event_id, ticket_id, nonce, device_id, gate, area, direction, online,
    stale_bundle, scanned_at, effective_at, recorded_at, admitted, reason, counted, conflict,
    undone_at";

fn read(row: &Row) -> Result<CheckIn, Problem> {
    Ok(CheckIn {
        id: row.get("id")?,
        event_id: row.get("event_id")?,
        ticket_id: row.get("ticket_id")?,
        nonce: row.get("nonce")?,
        device_id: row.get("device_id")?,
        gate: row.get("gate")?,
        area: row.get("area")?,
        direction: row.get("direction")?,
        online: row.get("online")?,
        stale_bundle: row.get("stale_bundle")?,
        scanned_at: row.get("scanned_at")?,
        effective_at: row.get("effective_at")?,
        recorded_at: row.get("recorded_at")?,
        admitted: row.get("admitted")?,
        reason: row.get("reason")?,
        counted: row.get("counted")?,
        conflict: row.get("conflict")?,
        undone_at: row.get("undone_at")?,
    })
}

/// Which scans are asked for.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Only with, or only without conflict.
    pub conflict: Option<bool>,
    /// Only of this ticket.
    pub ticket_id: Option<String>,
    /// Only by this scanner.
    pub device_id: Option<String>,
    /// Only admitted, or only denied ones.
    pub admitted: Option<bool>,
}

/// Scans of an event, newest first, those before an id.
///
/// # Errors
/// The store's.
pub async fn list(
    db: &Db,
    event_id: &str,
    filter: &Filter,
    before: Option<&str>,
    limit: usize,
) -> Result<Vec<CheckIn>, Problem> {
    let mut text = format!("SELECT {COLUMNS} FROM tk_check_ins WHERE event_id = $1");
    let mut args = vec![florin_platform::sql::Arg::from(event_id)];
    match filter.conflict {
        Some(true) => text.push_str(" AND conflict IS NOT NULL"),
        Some(false) => text.push_str(" AND conflict IS NULL"),
        None => {}
    }
    let mut and = |condition: &str, value: florin_platform::sql::Arg| {
        args.push(value);
        text.push_str(&format!(" AND {condition} ${}", args.len()));
    };
    if let Some(id) = &filter.ticket_id {
        and("ticket_id =", id.into());
    }
    if let Some(id) = &filter.device_id {
        and("device_id =", id.into());
    }
    if let Some(admitted) = filter.admitted {
        and("admitted =", admitted.into());
    }
    if let Some(before) = before {
        and("id <", before.into());
    }
    text.push_str(&format!(" ORDER BY id DESC LIMIT {limit}"));
    let statement = args.into_iter().fold(Query::assembled(text), Query::bind);
    let rows = db.fetch_all(statement).await?;
    rows.iter().map(read).collect()
}

/// One scan.
///
/// # Errors
/// 404 `check_in_not_found`, the store's.
pub async fn one(db: &Db, id: &str) -> Result<CheckIn, Problem> {
    let text = format!("SELECT {COLUMNS} FROM tk_check_ins WHERE id = $1");
    let row = db.fetch_optional(Query::assembled(text).bind(id)).await?;
    let absent = || Problem::not_found("check_in_not_found", "There is no such check-in.");
    read(&row.ok_or_else(absent)?)
}

/// Undoes an admitted scan: it counts as if it had not happened. The ticket is settled anew; if
/// that was its only way in, it is valid again.
///
/// # Errors
/// 404 `check_in_not_found`, 409 `check_in_state` for one that let nobody pass or was undone
/// before, the store's.
pub async fn undo(room: &Ticketing, id: &str, by: &str) -> Result<CheckIn, Problem> {
    let event_id = one(&room.store.db, id).await?.event_id;
    let mut tx = room.store.begin_event(&event_id).await?;
    let now = room.now();
    let text = "SELECT id FROM tk_check_ins WHERE id = $1 AND counted = TRUE
        AND direction = 'in' AND conflict IS NULL AND undone_at IS NULL";
    let was_entry = tx.fetch_optional(query(text).bind(id)).await?.is_some();
    let text = "UPDATE tk_check_ins SET undone_at = $2, undone_by = $3, counted = $4,
        conflict = NULL WHERE id = $1 AND admitted = $5 AND undone_at IS NULL
        RETURNING ticket_id";
    let statement = query(text)
        .bind(id)
        .bind(now)
        .bind(by)
        .bind(false)
        .bind(true);
    let Some(row) = tx.fetch_optional(statement).await? else {
        let detail = "This check-in let nobody pass, or was undone before.";
        return Err(conflict("check_in_state", detail));
    };
    if let Some(ticket_id) = row.get::<Option<String>>("ticket_id")? {
        let ticket = tickets::one_in(&mut tx, &ticket_id).await?;
        let mut judged = BTreeMap::from([(ticket_id, Judged::new(ticket))]);
        let marks = Marks::of(room.store.db.is_shared());
        load_past(&mut tx, marks, &mut judged).await?;
        for ticket in judged.values_mut() {
            ticket.touched = true;
            ticket.entry_undone = was_entry;
        }
        let facts = Facts::load_in(&mut tx, &event_id).await?;
        settle_all(room, &mut tx, &facts, &mut judged, now).await?;
    }
    tx.commit().await?;
    one(&room.store.db, id).await
}
