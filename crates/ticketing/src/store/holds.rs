//! Holds: rows that leave `held` once, on whichever way comes first (INV-T3).
//!
//! Every function here belongs in a transaction of the event's lane: what it reads is still so
//! when it writes.

use florin_platform::sql::{Arg, Row, SqlError, Tx, query};

use super::bulk::{self, Marks};
use super::stock::{self, Moves};

/// A hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    /// Its id.
    pub id: String,
    /// Its order.
    pub order_id: String,
    /// What is held.
    pub type_id: String,
    /// The pools of the type when it was held.
    pub pools: Vec<String>,
    /// Units.
    pub quantity: i64,
    /// `held`, `converted` or `released`.
    pub state: String,
}

fn hold(row: &Row) -> Result<Hold, SqlError> {
    Ok(Hold {
        id: row.get("id")?,
        order_id: row.get("order_id")?,
        type_id: row.get("type_id")?,
        pools: stock::parted(&row.get::<String>("pools")?),
        quantity: row.get("quantity")?,
        state: row.get("state")?,
    })
}

/// The holds of an order.
///
/// # Errors
/// As [`Tx::fetch_all`].
pub async fn of_order(tx: &mut Tx, order_id: &str) -> Result<Vec<Hold>, SqlError> {
    let text = "SELECT id, order_id, type_id, pools, quantity, state FROM tk_holds
        WHERE order_id = $1 ORDER BY id";
    let rows = tx.fetch_all(query(text).bind(order_id)).await?;
    rows.iter().map(hold).collect()
}

/// Turns what orders hold into sold units; answers what was held.
///
/// # Errors
/// As [`Tx::execute`].
pub async fn convert(
    tx: &mut Tx,
    marks: Marks,
    orders: &[String],
    now: i64,
    moves: &mut Moves,
) -> Result<Vec<Hold>, SqlError> {
    let holds = leave(tx, marks, orders, "converted", now).await?;
    for hold in &holds {
        moves.convert(&hold.type_id, &hold.pools, hold.quantity);
    }
    Ok(holds)
}

/// Gives back for sale what orders hold.
///
/// # Errors
/// As [`Tx::execute`].
pub async fn release(
    tx: &mut Tx,
    marks: Marks,
    orders: &[String],
    now: i64,
    moves: &mut Moves,
) -> Result<Vec<Hold>, SqlError> {
    let holds = leave(tx, marks, orders, "released", now).await?;
    for hold in &holds {
        moves.release(&hold.type_id, &hold.pools, hold.quantity);
    }
    Ok(holds)
}

async fn leave(
    tx: &mut Tx,
    marks: Marks,
    orders: &[String],
    state: &str,
    now: i64,
) -> Result<Vec<Hold>, SqlError> {
    let first = [Arg::from(state), Arg::from(now), Arg::from("held")];
    let keys = orders.iter().map(Arg::from).collect();
    // Found by the order: by the state all that is held would be read.
    let prefix = "UPDATE tk_holds SET state = $1, left_at = $2
        WHERE state || '' = $3 AND order_id IN";
    let suffix = "RETURNING id, order_id, type_id, pools, quantity, state";
    let rows = bulk::select(tx, marks, prefix, suffix, &first, keys).await?;
    rows.iter().map(hold).collect()
}

/// The row of a new hold, for [`INSERT`].
pub fn row(hold: &Hold, event_id: &str, now: i64) -> Vec<Arg> {
    vec![
        Arg::from(&hold.id),
        Arg::from(&hold.order_id),
        Arg::from(event_id),
        Arg::from(&hold.type_id),
        Arg::from(stock::join(&hold.pools)),
        Arg::from(hold.quantity),
        Arg::from(&hold.state),
        Arg::from(now),
    ]
}

/// What stands before the rows of new holds.
pub const INSERT: &str = "INSERT INTO tk_holds
    (id, order_id, event_id, type_id, pools, quantity, state, created_at)";
