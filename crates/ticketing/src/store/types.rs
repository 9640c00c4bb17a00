//! Rows of ticket types and pools. Their counters are moved by [`super::stock`] alone.

use std::collections::BTreeMap;

use florin_platform::http::problem::Problem;
use florin_platform::sql::{Db, Query, Row, Tx, query};

use crate::model::ticket_type::{AttendeeFields, Pool, TicketType};

const COLUMNS: &str = "id, event_id, type_no, name, description, position, hidden, price, quantity,
    sale_starts_at, sale_ends_at, min_per_order, max_per_order, max_per_buyer, transferable,
    refundable_until, tax_rate_bp, price_includes_tax, valid_from, valid_until, areas,
    attendee_fields, questions, version, created_at, updated_at";
const COUNTERS: &str = "sold, held, held_ever, converted, released";

fn read(row: &Row) -> Result<TicketType, Problem> {
    let fields: String = row.get("attendee_fields")?;
    let questions: String = row.get("questions")?;
    Ok(TicketType {
        id: row.get("id")?,
        event_id: row.get("event_id")?,
        type_no: row.get("type_no")?,
        name: row.get("name")?,
        description: row.get("description")?,
        position: row.get("position")?,
        hidden: row.get("hidden")?,
        price: row.get("price")?,
        quantity: row.get("quantity")?,
        sale_starts_at: row.get("sale_starts_at")?,
        sale_ends_at: row.get("sale_ends_at")?,
        min_per_order: row.get("min_per_order")?,
        max_per_order: row.get("max_per_order")?,
        max_per_buyer: row.get("max_per_buyer")?,
        transferable: row.get("transferable")?,
        refundable_until: row.get("refundable_until")?,
        tax_rate_bp: row.get("tax_rate_bp")?,
        price_includes_tax: row.get("price_includes_tax")?,
        valid_from: row.get("valid_from")?,
        valid_until: row.get("valid_until")?,
        areas: row.get("areas")?,
        attendee_fields: AttendeeFields::from_word(&fields)
            .ok_or_else(|| Problem::internal("attendee_fields of a type"))?,
        questions: serde_json::from_str(&questions).map_err(Problem::internal)?,
        pool_ids: Vec::new(),
        sold: row.get("sold")?,
        held: row.get("held")?,
        held_ever: row.get("held_ever")?,
        converted: row.get("converted")?,
        released: row.get("released")?,
        version: row.get("version")?,
        created_at: row.get("created_at")?,
        updated_at: row.get("updated_at")?,
    })
}

fn of_event(event_id: &str) -> Query {
    let text = format!(
        "SELECT {COLUMNS}, {COUNTERS} FROM tk_types WHERE event_id = $1 ORDER BY position, type_no"
    );
    Query::assembled(text).bind(event_id)
}

fn links_of_event(event_id: &str) -> Query {
    let text = "SELECT l.type_id, l.pool_id FROM tk_type_pools l
        JOIN tk_pools p ON p.id = l.pool_id WHERE p.event_id = $1 ORDER BY l.pool_id";
    query(text).bind(event_id)
}

fn joined(types: &[Row], links: &[Row]) -> Result<Vec<TicketType>, Problem> {
    let mut pools: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for link in links {
        let of_type = pools.entry(link.get("type_id")?).or_default();
        of_type.push(link.get("pool_id")?);
    }
    types
        .iter()
        .map(|row| {
            let mut kind = read(row)?;
            kind.pool_ids = pools.remove(&kind.id).unwrap_or_default();
            Ok(kind)
        })
        .collect()
}

/// Types of an event in the order in which they are shown.
///
/// # Errors
/// The store's.
pub async fn list(db: &Db, event_id: &str) -> Result<Vec<TicketType>, Problem> {
    let types = db.fetch_all(of_event(event_id)).await?;
    joined(&types, &db.fetch_all(links_of_event(event_id)).await?)
}

/// As [`list`], inside a transaction.
///
/// # Errors
/// The store's.
pub async fn list_in(tx: &mut Tx, event_id: &str) -> Result<Vec<TicketType>, Problem> {
    let types = tx.fetch_all(of_event(event_id)).await?;
    joined(&types, &tx.fetch_all(links_of_event(event_id)).await?)
}

/// The event of a type.
///
/// # Errors
/// The store's.
pub async fn event_of(db: &Db, type_id: &str) -> Result<Option<String>, Problem> {
    let statement = query("SELECT event_id FROM tk_types WHERE id = $1").bind(type_id);
    let row = db.fetch_optional(statement).await?;
    row.map(|row| Ok(row.get("event_id")?)).transpose()
}

/// Types and pools of an event whose counters were read at one moment.
///
/// # Errors
/// The store's.
pub async fn at_once(db: &Db, event_id: &str) -> Result<(Vec<TicketType>, Vec<Pool>), Problem> {
    let mut types = list(db, event_id).await?;
    let mut pools = pools(db, event_id).await?;
    let text = "SELECT id, quantity, sold, held, held_ever, converted, released
        FROM tk_types WHERE event_id = $1
        UNION ALL SELECT id, capacity, sold, held, 0, 0, 0 FROM tk_pools WHERE event_id = $1";
    for row in db.fetch_all(query(text).bind(event_id)).await? {
        let id: String = row.get("id")?;
        let (sold, held) = (row.get("sold")?, row.get("held")?);
        if let Some(kind) = types.iter_mut().find(|kind| kind.id == id) {
            kind.quantity = row.get("quantity")?;
            (kind.sold, kind.held) = (sold, held);
            kind.held_ever = row.get("held_ever")?;
            kind.converted = row.get("converted")?;
            kind.released = row.get("released")?;
        } else if let Some(pool) = pools.iter_mut().find(|pool| pool.id == id) {
            pool.capacity = row.get("quantity")?;
            (pool.sold, pool.held) = (sold, held);
        }
    }
    Ok((types, pools))
}

const POOL: &str = "id, event_id, name, capacity, whole_event, sold, held";

fn read_pool(row: &Row) -> Result<Pool, Problem> {
    Ok(Pool {
        id: row.get("id")?,
        event_id: row.get("event_id")?,
        name: row.get("name")?,
        capacity: row.get("capacity")?,
        whole_event: row.get("whole_event")?,
        sold: row.get("sold")?,
        held: row.get("held")?,
    })
}

fn pools_of_event(event_id: &str) -> Query {
    let text = format!("SELECT {POOL} FROM tk_pools WHERE event_id = $1 ORDER BY created_at, id");
    Query::assembled(text).bind(event_id)
}

/// Pools of an event in order of creation, with that of the whole event.
///
/// # Errors
/// The store's.
pub async fn pools(db: &Db, event_id: &str) -> Result<Vec<Pool>, Problem> {
    let rows = db.fetch_all(pools_of_event(event_id)).await?;
    rows.iter().map(read_pool).collect()
}

/// As [`pools`], inside a transaction.
///
/// # Errors
/// The store's.
pub async fn pools_in(tx: &mut Tx, event_id: &str) -> Result<Vec<Pool>, Problem> {
    let rows = tx.fetch_all(pools_of_event(event_id)).await?;
    rows.iter().map(read_pool).collect()
}

fn bound(statement: Query, kind: &TicketType) -> Result<Query, Problem> {
    Ok(statement
        .bind(&kind.event_id)
        .bind(kind.type_no)
        .bind(&kind.name)
        .bind(&kind.description)
        .bind(kind.position)
        .bind(kind.hidden)
        .bind(kind.price)
        .bind(kind.quantity)
        .bind(kind.sale_starts_at)
        .bind(kind.sale_ends_at)
        .bind(kind.min_per_order)
        .bind(kind.max_per_order)
        .bind(kind.max_per_buyer)
        .bind(kind.transferable)
        .bind(kind.refundable_until)
        .bind(kind.tax_rate_bp)
        .bind(kind.price_includes_tax)
        .bind(kind.valid_from)
        .bind(kind.valid_until)
        .bind(kind.areas)
        .bind(kind.attendee_fields.word())
        .bind(serde_json::to_string(&kind.questions).map_err(Problem::internal)?)
        .bind(kind.version)
        .bind(kind.created_at)
        .bind(kind.updated_at))
}

/// Puts a new type in.
///
/// # Errors
/// The store's.
pub async fn insert(tx: &mut Tx, kind: &TicketType) -> Result<(), Problem> {
    let names: Vec<String> = (1..=COLUMNS.split(',').count())
        .map(|n| format!("${n}"))
        .collect();
    let text = format!(
        "INSERT INTO tk_types ({COLUMNS}) VALUES ({})",
        names.join(", ")
    );
    tx.execute(bound(Query::assembled(text).bind(&kind.id), kind)?)
        .await?;
    link(tx, kind).await
}

/// Stores a changed type; its counters stay as they are.
///
/// # Errors
/// The store's.
pub async fn update(tx: &mut Tx, kind: &TicketType) -> Result<(), Problem> {
    let sets: Vec<String> = COLUMNS
        .split(',')
        .enumerate()
        .skip(1)
        .map(|(index, column)| format!("{} = ${}", column.trim(), index + 1))
        .collect();
    let text = format!("UPDATE tk_types SET {} WHERE id = $1", sets.join(", "));
    tx.execute(bound(Query::assembled(text).bind(&kind.id), kind)?)
        .await?;
    let unlink = query("DELETE FROM tk_type_pools WHERE type_id = $1").bind(&kind.id);
    tx.execute(unlink).await?;
    link(tx, kind).await
}

async fn link(tx: &mut Tx, kind: &TicketType) -> Result<(), Problem> {
    for pool in &kind.pool_ids {
        let text = "INSERT INTO tk_type_pools (type_id, pool_id) VALUES ($1, $2)";
        tx.execute(query(text).bind(&kind.id).bind(pool)).await?;
    }
    Ok(())
}

/// Removes a type that nobody ever held.
///
/// # Errors
/// The store's.
pub async fn delete(tx: &mut Tx, id: &str) -> Result<(), Problem> {
    let links = query("DELETE FROM tk_type_pools WHERE type_id = $1").bind(id);
    tx.execute(links).await?;
    tx.execute(query("DELETE FROM tk_types WHERE id = $1").bind(id))
        .await?;
    Ok(())
}

/// Puts a new pool in, with the units that its types hold already.
///
/// # Errors
/// The store's.
pub async fn insert_pool(tx: &mut Tx, pool: &Pool, now: i64) -> Result<(), Problem> {
    let text = "INSERT INTO tk_pools
        (id, event_id, name, capacity, whole_event, sold, held, created_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
    let statement = query(text)
        .bind(&pool.id)
        .bind(&pool.event_id)
        .bind(&pool.name)
        .bind(pool.capacity)
        .bind(pool.whole_event)
        .bind(pool.sold)
        .bind(pool.held)
        .bind(now);
    tx.execute(statement).await?;
    Ok(())
}

/// Stores name and capacity of a pool, and the units that its types hold.
///
/// # Errors
/// The store's.
pub async fn update_pool(tx: &mut Tx, pool: &Pool) -> Result<(), Problem> {
    let text = "UPDATE tk_pools SET name = $2, capacity = $3, sold = $4, held = $5 WHERE id = $1";
    let statement = query(text)
        .bind(&pool.id)
        .bind(&pool.name)
        .bind(pool.capacity)
        .bind(pool.sold)
        .bind(pool.held);
    tx.execute(statement).await?;
    Ok(())
}

/// Removes a pool and takes all types out of it.
///
/// # Errors
/// The store's.
pub async fn delete_pool(tx: &mut Tx, id: &str) -> Result<(), Problem> {
    let links = query("DELETE FROM tk_type_pools WHERE pool_id = $1").bind(id);
    tx.execute(links).await?;
    tx.execute(query("DELETE FROM tk_pools WHERE id = $1").bind(id))
        .await?;
    Ok(())
}
