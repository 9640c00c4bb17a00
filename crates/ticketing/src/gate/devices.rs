//! Scanners with a key of their own, bound to one event and revocable (contract D4).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use florin_platform::http::problem::Problem;
use florin_platform::sql::{Db, Row, Tx, query};

use crate::Ticketing;

/// What every device key begins with, so that it is known for what it is.
pub const PREFIX: &str = "fdk_";

/// A scanner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// Its id.
    pub id: String,
    /// The event that its key opens.
    pub event_id: String,
    /// The event's organisation.
    pub org_id: String,
    /// For people.
    pub name: String,
    /// Who made it.
    pub created_by: String,
    /// When, in microseconds.
    pub created_at: i64,
    /// Since then its key opens nothing.
    pub revoked_at: Option<i64>,
}

const COLUMNS: &str = "id, event_id, org_id, name, created_by, created_at, revoked_at";

fn read(row: &Row) -> Result<Device, Problem> {
    Ok(Device {
        id: row.get("id")?,
        event_id: row.get("event_id")?,
        org_id: row.get("org_id")?,
        name: row.get("name")?,
        created_by: row.get("created_by")?,
        created_at: row.get("created_at")?,
        revoked_at: row.get("revoked_at")?,
    })
}

fn select(condition: &str) -> florin_platform::sql::Query {
    let text = format!("SELECT {COLUMNS} FROM tk_devices WHERE {condition}");
    florin_platform::sql::Query::assembled(text)
}

fn digest(room: &Ticketing, key: &str) -> [u8; 32] {
    room.secrets.digest("device-key", key.as_bytes())
}

/// The key of a scanner. It follows from the id under the installation's secret, so that the same
/// registration, sent again, can answer it again without its being kept anywhere.
pub fn key(room: &Ticketing, device_id: &str) -> String {
    let secret = room.secrets.digest("device-key-text", device_id.as_bytes());
    format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(secret))
}

/// Registers a scanner.
///
/// # Errors
/// The store's.
pub async fn register(
    room: &Ticketing,
    tx: &mut Tx,
    event_id: &str,
    org_id: &str,
    name: &str,
    by: &str,
) -> Result<Device, Problem> {
    let device = Device {
        id: room.store.id(),
        event_id: event_id.to_owned(),
        org_id: org_id.to_owned(),
        name: name.to_owned(),
        created_by: by.to_owned(),
        created_at: room.now(),
        revoked_at: None,
    };
    let text = "INSERT INTO tk_devices
        (id, event_id, org_id, name, key_digest, created_by, created_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7)";
    let statement = query(text)
        .bind(&device.id)
        .bind(&device.event_id)
        .bind(&device.org_id)
        .bind(&device.name)
        .bind(digest(room, &key(room, &device.id)))
        .bind(&device.created_by)
        .bind(device.created_at);
    tx.execute(statement).await?;
    Ok(device)
}

/// The scanner of a key, unless it was revoked.
///
/// # Errors
/// The store's.
pub async fn by_key(room: &Ticketing, key: &str) -> Result<Option<Device>, Problem> {
    let statement = select("key_digest = $1 AND revoked_at IS NULL").bind(digest(room, key));
    let row = room.store.db.fetch_optional(statement).await?;
    row.as_ref().map(read).transpose()
}

/// The scanners of an event, after an id.
///
/// # Errors
/// The store's.
pub async fn list(
    db: &Db,
    event_id: &str,
    after: &str,
    limit: usize,
) -> Result<Vec<Device>, Problem> {
    let statement = select("event_id = $1 AND id > $2 ORDER BY id LIMIT $3")
        .bind(event_id)
        .bind(after)
        .bind(limit as i64);
    let rows = db.fetch_all(statement).await?;
    rows.iter().map(read).collect()
}

/// Revokes a scanner's key; doing it twice changes nothing.
///
/// # Errors
/// 404 `device_not_found`, the store's.
pub async fn revoke(tx: &mut Tx, event_id: &str, id: &str, now: i64) -> Result<(), Problem> {
    let text = "UPDATE tk_devices SET revoked_at = COALESCE(revoked_at, $3)
        WHERE id = $1 AND event_id = $2";
    let statement = query(text).bind(id).bind(event_id).bind(now);
    match tx.execute(statement).await? {
        0 => Err(Problem::not_found(
            "device_not_found",
            "There is no such device.",
        )),
        _ => Ok(()),
    }
}
