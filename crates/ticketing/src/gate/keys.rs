//! Key pairs of events (contract D2): made when first needed, never out of the server.

use florin_base::IdSource;
use florin_platform::http::problem::Problem;
use florin_platform::sql::{Row, query};

use crate::Ticketing;
use crate::model::scan::Key;
use crate::model::token::{KeyId, PublicKey, TicketKey};
use crate::privacy::{open, seal};

/// What the installation's key for event keys is derived under.
const WRAP: &str = "gate/event-keys";

/// A key as it is published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublishedKey {
    /// First bytes of its hash.
    pub id: KeyId,
    /// 32 bytes.
    pub public: PublicKey,
    /// `active`, `retired` or `disabled`.
    pub status: String,
}

fn published(row: &Row) -> Result<PublishedKey, Problem> {
    let bytes: Vec<u8> = row.get("public_key")?;
    let public = <[u8; 32]>::try_from(bytes)
        .ok()
        .and_then(|bytes| PublicKey::from_bytes(&bytes))
        .ok_or_else(|| Problem::internal("public key of an event"))?;
    Ok(PublishedKey {
        id: public.id(),
        public,
        status: row.get("status")?,
    })
}

/// The keys of an event, newest first; one is made when there is none. The event must exist.
///
/// # Errors
/// The store's.
pub async fn list(room: &Ticketing, event_id: &str) -> Result<Vec<PublishedKey>, Problem> {
    let text = "SELECT public_key, status FROM tk_event_keys WHERE event_id = $1
        ORDER BY created_at DESC, kid";
    let select = query(text).bind(event_id);
    let mut rows = room.store.db.fetch_all(select.clone()).await?;
    if rows.is_empty() {
        make(room, event_id).await?;
        rows = room.store.db.fetch_all(select).await?;
    }
    rows.iter().map(published).collect()
}

/// The pair that signs now.
///
/// # Errors
/// The store's.
pub async fn signing(room: &Ticketing, event_id: &str) -> Result<TicketKey, Problem> {
    let text = "SELECT sealed_seed FROM tk_event_keys WHERE event_id = $1 AND status = $2";
    let select = query(text).bind(event_id).bind("active");
    let row = match room.store.db.fetch_optional(select.clone()).await? {
        Some(row) => row,
        None => {
            make(room, event_id).await?;
            let row = room.store.db.fetch_optional(select).await?;
            row.ok_or_else(|| Problem::internal("an event without a signing key"))?
        }
    };
    let sealed: Vec<u8> = row.get("sealed_seed")?;
    let seed = open(&room.secrets.derive(WRAP), event_id, &sealed);
    let seed: [u8; 32] = seed
        .and_then(|seed| seed.try_into().ok())
        .ok_or_else(|| Problem::internal("an event's key does not open: the secret was changed"))?;
    Ok(TicketKey::from_seed(&seed))
}

async fn make(room: &Ticketing, event_id: &str) -> Result<(), Problem> {
    let seed = IdSource::random_32();
    let key = TicketKey::from_seed(&seed);
    let sealed = seal(&room.secrets.derive(WRAP), event_id, &seed);
    let mut tx = room.store.begin_event(event_id).await?;
    let present = query("SELECT kid FROM tk_event_keys WHERE event_id = $1").bind(event_id);
    if tx.fetch_optional(present).await?.is_some() {
        return Ok(());
    }
    let text = "INSERT INTO tk_event_keys
        (event_id, kid, public_key, sealed_seed, status, created_at)
        VALUES ($1, $2, $3, $4, $5, $6)";
    let statement = query(text)
        .bind(event_id)
        .bind(key.id().to_string())
        .bind(key.public().to_bytes())
        .bind(sealed)
        .bind("active")
        .bind(room.now());
    tx.execute(statement).await?;
    Ok(tx.commit().await?)
}

/// What a key id means at an event's gate.
///
/// # Errors
/// The store's.
pub async fn find(
    room: &Ticketing,
    event_id: &str,
    ours: &[PublishedKey],
    id: KeyId,
) -> Result<Key, Problem> {
    if let Some(key) = ours.iter().find(|key| key.id == id) {
        return Ok(match key.status.as_str() {
            "disabled" => Key::Unknown,
            _ => Key::Ours(key.public),
        });
    }
    let text = "SELECT event_id FROM tk_event_keys WHERE kid = $1 AND event_id <> $2";
    let select = query(text).bind(id.to_string()).bind(event_id);
    let elsewhere = room.store.db.fetch_optional(select).await?;
    Ok(match elsewhere {
        Some(_) => Key::Elsewhere,
        None => Key::Unknown,
    })
}
