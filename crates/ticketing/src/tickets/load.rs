//! Tickets by id, number and order.

use florin_platform::http::problem::Problem;
use florin_platform::sql::{Arg, Db, Query, Tx};

use super::row::{COLUMNS, Ticket};
use crate::store::bulk::{self, Marks};

/// 404 of a ticket that is not there, or not for this caller.
fn absent() -> Problem {
    Problem::not_found("ticket_not_found", "There is no such ticket.")
}

fn select(condition: &str) -> Query {
    Query::assembled(format!(
        "SELECT {COLUMNS} FROM tk_tickets WHERE {condition}"
    ))
}

/// One ticket.
///
/// # Errors
/// 404 `ticket_not_found`, the store's.
pub async fn one(db: &Db, id: &str) -> Result<Ticket, Problem> {
    let row = db.fetch_optional(select("id = $1").bind(id)).await?;
    Ticket::read(&row.ok_or_else(absent)?)
}

/// One ticket, inside a transaction.
///
/// # Errors
/// As [`one`].
pub async fn one_in(tx: &mut Tx, id: &str) -> Result<Ticket, Problem> {
    let row = tx.fetch_optional(select("id = $1").bind(id)).await?;
    Ticket::read(&row.ok_or_else(absent)?)
}

/// Tickets by their ids, in no order; unknown ones are left out.
///
/// # Errors
/// The store's.
pub async fn by_ids_in(tx: &mut Tx, marks: Marks, ids: &[String]) -> Result<Vec<Ticket>, Problem> {
    let prefix = format!("SELECT {COLUMNS} FROM tk_tickets WHERE id IN");
    let keys: Vec<Arg> = ids.iter().map(Arg::from).collect();
    let rows = bulk::select(tx, marks, &prefix, "", &[], keys).await?;
    rows.iter().map(Ticket::read).collect()
}

/// As [`by_ids_in`], by their numbers.
///
/// # Errors
/// The store's.
pub async fn by_number(
    tx: &mut Tx,
    marks: Marks,
    numbers: &[String],
) -> Result<Vec<Ticket>, Problem> {
    let prefix = format!("SELECT {COLUMNS} FROM tk_tickets WHERE number IN");
    let keys: Vec<Arg> = numbers.iter().map(Arg::from).collect();
    let rows = bulk::select(tx, marks, &prefix, "", &[], keys).await?;
    rows.iter().map(Ticket::read).collect()
}

/// Tickets by their ids outside a transaction, at most a page of them.
///
/// # Errors
/// The store's.
pub async fn by_ids(db: &Db, ids: &[String]) -> Result<Vec<Ticket>, Problem> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let marks: Vec<String> = (1..=ids.len()).map(|n| format!("${n}")).collect();
    let statement = select(&format!("id IN ({}) ORDER BY id", marks.join(", ")));
    let statement = ids.iter().fold(statement, Query::bind);
    let rows = db.fetch_all(statement).await?;
    rows.iter().map(Ticket::read).collect()
}

/// All tickets of an order, in the order of their numbers.
///
/// # Errors
/// The store's.
pub async fn of_order(db: &Db, order_id: &str) -> Result<Vec<Ticket>, Problem> {
    let statement = select("order_id = $1 ORDER BY position").bind(order_id);
    let rows = db.fetch_all(statement).await?;
    rows.iter().map(Ticket::read).collect()
}
