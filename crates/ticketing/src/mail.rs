//! Mails: queued in the transaction of the fact, sent after by whoever the installation wired.
//!
//! Recipient and content are sealed under the recipient's key ([`crate::privacy`]).

use florin_platform::http::problem::Problem;
use florin_platform::sql::{Tx, query};
use serde::{Deserialize, Serialize};

use crate::privacy::Person;
use crate::store::Store;

/// A mail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Mail {
    /// One line.
    pub subject: String,
    /// Plain text.
    pub text: String,
    /// HTML, if there is any.
    pub html: Option<String>,
    /// Files.
    pub attachments: Vec<Attachment>,
}

/// A file of a mail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Attachment {
    /// Its name.
    pub name: String,
    /// Its media type.
    pub content_type: String,
    /// Its bytes in base64.
    pub content: String,
}

/// Queues a mail; it leaves after the commit. `kind` says what it is for (`order.confirmed`).
///
/// # Errors
/// The store's.
pub async fn send(
    store: &Store,
    tx: &mut Tx,
    person: &Person,
    address: &str,
    kind: &'static str,
    mail: &Mail,
) -> Result<(), Problem> {
    let content = serde_json::to_string(mail).map_err(Problem::internal)?;
    let now = store.now();
    let text = "INSERT INTO tk_mails (id, person_id, recipient, kind, content, created_at, next_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7)";
    let statement = query(text)
        .bind(store.id())
        .bind(&person.id)
        .bind(person.seal("mail.recipient", address))
        .bind(kind)
        .bind(person.seal("mail.content", &content))
        .bind(now)
        .bind(now);
    tx.execute(statement).await?;
    Ok(())
}
