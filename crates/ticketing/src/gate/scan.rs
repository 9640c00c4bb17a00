//! A scan as a gate sends it, and what is answered.

use std::collections::BTreeMap;

use florin_base::Timestamp;
use florin_platform::http::problem::Problem;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::keys;
use crate::Ticketing;
use crate::model::offline::First;
use crate::model::scan::{self, Direction, Key, Reason};
use crate::model::token::{Claims, KeyId, Token};

/// How a gate names a ticket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Code {
    /// The text of the QR code.
    Token(String),
    /// The ticket's id.
    Id(String),
    /// The ticket's number.
    Number(String),
}

/// A scan. Times are microseconds.
#[derive(Debug, Clone)]
pub struct Scan {
    /// Names the ticket.
    pub code: Code,
    /// The scan's own id: the same again answers the same.
    pub nonce: Uuid,
    /// Which scanner.
    pub device_id: String,
    /// Which gate.
    pub gate: Option<String>,
    /// Which area; `None` is not checked.
    pub area: Option<u8>,
    /// Which way.
    pub direction: Direction,
    /// When, by the scanner's clock.
    pub scanned_at: i64,
    /// The scanner's bundle was too old.
    pub stale_bundle: bool,
    /// Without network: the scanner let nobody pass, and why.
    pub refused: Option<Reason>,
    /// Who sent it.
    pub actor: String,
}

/// A scan whose code was read and verified.
#[derive(Debug, Clone)]
pub struct Prepared {
    /// As it was sent.
    pub scan: Scan,
    /// What its code states; `Ok(None)` when the ticket was named by id or number.
    pub claims: Result<Option<Claims>, Reason>,
}

/// The answer to a scan (contract D3).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Answer {
    /// The check-in, to undo it.
    pub id: String,
    /// The scan's own id.
    pub nonce: String,
    /// `admitted` or `denied`.
    pub result: String,
    /// Why.
    pub reason: String,
    /// The ticket, as far as it is known.
    pub ticket: Option<AnswerTicket>,
    /// Who came in first with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first: Option<First>,
    /// What is odd about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conflict: Option<String>,
    /// When it counts as having happened.
    pub effective_at: Timestamp,
}

/// A ticket at the gate: nothing personal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AnswerTicket {
    /// Its id.
    pub id: String,
    /// Its number.
    pub number: String,
    /// Its type.
    pub ticket_type_id: String,
    /// Name of the type.
    pub ticket_type: String,
    /// Its status after the scan.
    pub status: String,
    /// Its generation.
    pub generation: u16,
}

/// Reads and verifies the codes of scans at an event's gate.
///
/// # Errors
/// The store's.
pub async fn prepare(
    room: &Ticketing,
    event_id: &str,
    scans: Vec<Scan>,
) -> Result<Vec<Prepared>, Problem> {
    let ours = keys::list(room, event_id).await?;
    let mut known: BTreeMap<KeyId, Key> = BTreeMap::new();
    for scan in &scans {
        let Code::Token(text) = &scan.code else {
            continue;
        };
        if let Ok(token) = Token::parse(text)
            && !known.contains_key(&token.key_id)
        {
            let key = keys::find(room, event_id, &ours, token.key_id).await?;
            known.insert(token.key_id, key);
        }
    }
    let verify = move || -> Vec<Prepared> {
        let find = |id: KeyId| known.get(&id).copied().unwrap_or(Key::Unknown);
        scans
            .into_iter()
            .map(|scan| Prepared {
                claims: match &scan.code {
                    Code::Token(text) => scan::read(text, find).map(Some),
                    Code::Id(_) | Code::Number(_) => Ok(None),
                },
                scan,
            })
            .collect()
    };
    // A thousand signatures take a core some time.
    tokio::task::spawn_blocking(verify)
        .await
        .map_err(Problem::internal)
}
