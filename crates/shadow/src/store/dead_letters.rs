//! Dead letters: messages of topics that are no events, parked with their bytes (contract A5).

use florin_platform::sql::{Query, Row, query};

use super::error::WriteError;
use super::record::{Actor, NewRecord};
use super::session::Session;
use super::{Shadow, Stamp};
use crate::model::digest::sha256_hex;

/// Kind of the records about dead letters.
pub const DEAD_LETTER: &str = "dead_letter";

/// A message that could not be taken in.
#[derive(Debug, Clone)]
pub struct Letter {
    /// Its topic.
    pub topic: String,
    /// Its partition.
    pub partition: i64,
    /// Its offset.
    pub offset: i64,
    /// Its key.
    pub key: Option<String>,
    /// Why: a code of A1, or `event_conflict`.
    pub reason: String,
    /// Its bytes.
    pub payload: Vec<u8>,
    /// Trace id of the message.
    pub trace_id: Option<String>,
}

/// A dead letter as it is kept.
#[derive(Debug, Clone)]
pub struct Kept {
    /// Its id, `{topic}:{partition}:{offset}` in hex of its digest.
    pub id: String,
    /// The message.
    pub letter: Letter,
    /// When it was parked, microseconds.
    pub received_at: i64,
    /// SHA-256 of the payload, hex.
    pub digest: String,
    /// `parked`, `redriven` or `discarded`.
    pub status: String,
    /// Order of arrival.
    pub arrival: i64,
}

const COLUMNS: &str = "SELECT id, topic, part, offs, message_key, received_at, reason, payload,
    digest, trace_id, status, arrival FROM shadow_dead_letters";

impl Kept {
    fn from_row(row: &Row) -> Result<Self, WriteError> {
        Ok(Self {
            id: row.get("id")?,
            letter: Letter {
                topic: row.get("topic")?,
                partition: row.get("part")?,
                offset: row.get("offs")?,
                key: row.get("message_key")?,
                reason: row.get("reason")?,
                payload: row.get("payload")?,
                trace_id: row.get("trace_id")?,
            },
            received_at: row.get("received_at")?,
            digest: row.get("digest")?,
            status: row.get("status")?,
            arrival: row.get("arrival")?,
        })
    }
}

/// Which dead letters a list shows.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Only of this status.
    pub status: Option<String>,
    /// Only with this reason.
    pub reason: Option<String>,
    /// Only of this topic.
    pub topic: Option<String>,
}

impl Session {
    /// Parks a message; the same one (topic, partition, offset) again changes nothing. Belongs
    /// to the transaction that commits the consumer's position.
    ///
    /// # Errors
    /// The store's.
    pub async fn park(&mut self, letter: &Letter) -> Result<(), WriteError> {
        let place = format!("{}\n{}\n{}", letter.topic, letter.partition, letter.offset);
        let mut id = format!("DL-{}", sha256_hex(place.as_bytes()));
        id.truncate(27);
        let known = query("SELECT id FROM shadow_dead_letters WHERE id = $1").bind(&id);
        if self.tx().fetch_optional(known).await?.is_some() {
            return Ok(());
        }
        let digest = sha256_hex(&letter.payload);
        let actor = Actor {
            trace_id: letter.trace_id.clone(),
            ..Actor::system("kafka")
        };
        let body = serde_json::json!({
            "id": id,
            "topic": letter.topic,
            "partition": letter.partition,
            "offset": letter.offset,
            "reason": letter.reason,
            "digest": digest,
            "status": "parked",
        });
        let record = NewRecord::new(DEAD_LETTER, actor, &body)
            .subject(&id)
            .emits("shadow.dead_letter.parked");
        let Stamp {
            log_seq,
            recorded_at,
        } = self.append_stamped(record);
        let insert = "INSERT INTO shadow_dead_letters (id, topic, part, offs, message_key,
            received_at, reason, payload, digest, trace_id, status, arrival)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 'parked', $11)";
        let row = query(insert)
            .bind(&id)
            .bind(&letter.topic)
            .bind(letter.partition)
            .bind(letter.offset)
            .bind(letter.key.clone())
            .bind(recorded_at)
            .bind(&letter.reason)
            .bind(letter.payload.clone())
            .bind(digest)
            .bind(letter.trace_id.clone())
            .bind(log_seq);
        self.tx().execute(row).await?;
        Ok(())
    }
}

/// One dead letter.
///
/// # Errors
/// The store's.
pub async fn find(shadow: &Shadow, id: &str) -> Result<Option<Kept>, WriteError> {
    let text = format!("{COLUMNS} WHERE id = $1");
    let row = shadow
        .db()
        .fetch_optional(Query::assembled(text).bind(id))
        .await?;
    row.map(|row| Kept::from_row(&row)).transpose()
}

/// Dead letters in the order of arrival, behind `after`.
///
/// # Errors
/// The store's.
pub async fn list(
    shadow: &Shadow,
    filter: &Filter,
    after: i64,
    limit: usize,
) -> Result<Vec<Kept>, WriteError> {
    let mut text = format!("{COLUMNS} WHERE arrival > $1");
    let mut args = vec![florin_platform::sql::Arg::from(after)];
    for (column, value) in [
        ("status", &filter.status),
        ("reason", &filter.reason),
        ("topic", &filter.topic),
    ] {
        if let Some(value) = value {
            args.push(value.into());
            text.push_str(&format!(" AND {column} = ${}", args.len()));
        }
    }
    args.push(i64::try_from(limit).unwrap_or(i64::MAX).into());
    text.push_str(&format!(" ORDER BY arrival LIMIT ${}", args.len()));
    let wanted = args.into_iter().fold(Query::assembled(text), Query::bind);
    let rows = shadow.db().fetch_all(wanted).await?;
    rows.iter().map(Kept::from_row).collect()
}

/// What became of a dead letter.
#[derive(Debug, Clone)]
pub enum Fate {
    /// Taken in after all.
    Redriven,
    /// Given up by a person, who says why.
    Discarded(String),
    /// Still parked, for this reason.
    StillParked(String),
}

/// Writes down what became of a parked letter; false if it is not parked (any more).
///
/// # Errors
/// The store's.
pub async fn settle(
    shadow: &Shadow,
    id: &str,
    fate: Fate,
    actor: Actor,
) -> Result<bool, WriteError> {
    let id = id.to_owned();
    shadow
        .write(move |session| Box::pin(async move { settle_in(session, &id, fate, actor).await }))
        .await
}

async fn settle_in(
    session: &mut Session,
    id: &str,
    fate: Fate,
    actor: Actor,
) -> Result<bool, WriteError> {
    let (status, emits, reason, note) = match &fate {
        Fate::Redriven => ("redriven", Some("shadow.dead_letter.redriven"), None, None),
        Fate::Discarded(note) => (
            "discarded",
            Some("shadow.dead_letter.discarded"),
            None,
            Some(note),
        ),
        Fate::StillParked(reason) => ("parked", None, Some(reason), None),
    };
    let update = "UPDATE shadow_dead_letters SET status = $1, reason = COALESCE($2, reason)
        WHERE id = $3 AND status = 'parked'";
    let update = query(update).bind(status).bind(reason.cloned()).bind(id);
    if session.tx().execute(update).await? == 0 {
        return Ok(false);
    }
    let body = serde_json::json!({
        "id": id,
        "status": status,
        "reason": reason,
        "note": note,
    });
    let record = NewRecord {
        emits,
        ..NewRecord::new(DEAD_LETTER, actor, &body).subject(id)
    };
    session.append(record);
    Ok(true)
}
