//! Rows of promo codes. Their uses are counted by the orders.

use florin_platform::http::problem::Problem;
use florin_platform::sql::{Db, Query, Row, Tx, query};

use crate::model::promo::{Benefit, Promo};

const COLUMNS: &str = "id, event_id, code, kind, bp, amount, type_ids, valid_from, valid_until,
    max_uses, max_uses_per_buyer, min_order_amount, uses, created_at";

fn read(row: &Row) -> Result<Promo, Problem> {
    let kind: String = row.get("kind")?;
    let benefit = Benefit::from_columns(&kind, row.get("bp")?, row.get("amount")?);
    let types: Option<String> = row.get("type_ids")?;
    Ok(Promo {
        id: row.get("id")?,
        event_id: row.get("event_id")?,
        code: row.get("code")?,
        benefit: benefit.ok_or_else(|| Problem::internal("kind of a promo code"))?,
        type_ids: types
            .map(|text| serde_json::from_str(&text).map_err(Problem::internal))
            .transpose()?,
        valid_from: row.get("valid_from")?,
        valid_until: row.get("valid_until")?,
        max_uses: row.get("max_uses")?,
        max_uses_per_buyer: row.get("max_uses_per_buyer")?,
        min_order_amount: row.get("min_order_amount")?,
        uses: row.get("uses")?,
        created_at: row.get("created_at")?,
    })
}

fn by_code(event_id: &str, code: &str) -> Query {
    let text = format!("SELECT {COLUMNS} FROM tk_promos WHERE event_id = $1 AND code = $2");
    Query::assembled(text).bind(event_id).bind(code)
}

/// A code of an event; `code` is [normal](crate::model::promo::normal).
///
/// # Errors
/// The store's.
pub async fn find(db: &Db, event_id: &str, code: &str) -> Result<Option<Promo>, Problem> {
    let row = db.fetch_optional(by_code(event_id, code)).await?;
    row.as_ref().map(read).transpose()
}

/// As [`find`], inside a transaction.
///
/// # Errors
/// The store's.
pub async fn find_in(tx: &mut Tx, event_id: &str, code: &str) -> Result<Option<Promo>, Problem> {
    let row = tx.fetch_optional(by_code(event_id, code)).await?;
    row.as_ref().map(read).transpose()
}

/// One code by its id, inside a transaction.
///
/// # Errors
/// The store's.
pub async fn load_in(tx: &mut Tx, event_id: &str, id: &str) -> Result<Option<Promo>, Problem> {
    let text = format!("SELECT {COLUMNS} FROM tk_promos WHERE event_id = $1 AND id = $2");
    let statement = Query::assembled(text).bind(event_id).bind(id);
    let row = tx.fetch_optional(statement).await?;
    row.as_ref().map(read).transpose()
}

/// Codes of an event, ascending by id.
///
/// # Errors
/// The store's.
pub async fn list(db: &Db, event_id: &str, after: &str, limit: i64) -> Result<Vec<Promo>, Problem> {
    let text = format!(
        "SELECT {COLUMNS} FROM tk_promos WHERE event_id = $1 AND id > $2 ORDER BY id LIMIT $3"
    );
    let statement = Query::assembled(text)
        .bind(event_id)
        .bind(after)
        .bind(limit);
    db.fetch_all(statement).await?.iter().map(read).collect()
}

fn bound(statement: Query, promo: &Promo) -> Query {
    let (bp, amount) = match promo.benefit {
        Benefit::Percent(bp) => (Some(bp), None),
        Benefit::FixedPerTicket(amount) | Benefit::FixedPerOrder(amount) => (None, Some(amount)),
        Benefit::Access => (None, None),
    };
    let types = promo.type_ids.as_ref();
    statement
        .bind(promo.benefit.kind())
        .bind(bp)
        .bind(amount)
        .bind(types.map(|ids| serde_json::json!(ids).to_string()))
        .bind(promo.valid_from)
        .bind(promo.valid_until)
        .bind(promo.max_uses)
        .bind(promo.max_uses_per_buyer)
        .bind(promo.min_order_amount)
}

/// Puts a new code in; false when the event has it already.
///
/// # Errors
/// The store's.
pub async fn insert(tx: &mut Tx, promo: &Promo) -> Result<bool, Problem> {
    let text = "INSERT INTO tk_promos (id, event_id, code, kind, bp, amount, type_ids, valid_from,
        valid_until, max_uses, max_uses_per_buyer, min_order_amount, created_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) ON CONFLICT DO NOTHING";
    let statement = query(text)
        .bind(&promo.id)
        .bind(&promo.event_id)
        .bind(&promo.code);
    let statement = bound(statement, promo).bind(promo.created_at);
    Ok(tx.execute(statement).await? == 1)
}

/// Stores a changed code; its uses stay as they are.
///
/// # Errors
/// The store's.
pub async fn update(tx: &mut Tx, promo: &Promo) -> Result<(), Problem> {
    let text = "UPDATE tk_promos SET kind = $2, bp = $3, amount = $4, type_ids = $5,
        valid_from = $6, valid_until = $7, max_uses = $8, max_uses_per_buyer = $9,
        min_order_amount = $10 WHERE id = $1";
    tx.execute(bound(query(text).bind(&promo.id), promo))
        .await?;
    Ok(())
}

/// Removes a code. Orders keep what it gave them.
///
/// # Errors
/// The store's.
pub async fn delete(tx: &mut Tx, id: &str) -> Result<(), Problem> {
    tx.execute(query("DELETE FROM tk_promos WHERE id = $1").bind(id))
        .await?;
    Ok(())
}
