//! Mails: queued in the transaction of the fact, sent after by whoever the installation wired.
//!
//! Recipient and content are sealed under the recipient's key ([`crate::privacy`]).

use florin_platform::http::problem::Problem;
use florin_platform::sql::{Tx, query};
use serde::{Deserialize, Serialize};

use crate::Ticketing;
use crate::model::buyer::fold_mail;
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

/// A pending delivery of a mail.
pub type Delivering<'a> = std::pin::Pin<Box<dyn Future<Output = Result<(), String>> + Send + 'a>>;

/// Sends mails. Without one they end in the local sink, the table itself.
pub trait Mailer: Send + Sync + 'static {
    /// Hands a mail on; the words of an error go to the log and hold no address.
    fn deliver<'a>(&'a self, from: &'a str, to: &'a str, mail: &'a Mail) -> Delivering<'a>;
}

/// Tries of one mail; then it is given up.
const TRIES_MAX: i64 = 12;
/// Mails that one round sends.
const AT_ONCE: i64 = 50;
/// Mails that the sink shows at most.
const SHOWN_MAX: i64 = 500;

/// How long a mail is taken by the process that sends it.
const CLAIM_MICROS: i64 = 60_000_000;
/// A lane of its own: mails must not wait for a sale, nor a sale for them.
const LANE: &str = "ticketing_mails";

/// Takes a mail; false when another process was quicker.
async fn claim(room: &Ticketing, id: &str, next_at: i64) -> Result<bool, Problem> {
    let text = "UPDATE tk_mails SET next_at = $1
        WHERE id = $2 AND next_at = $3 AND sent_at IS NULL AND failed IS NULL";
    let until = room.now() + CLAIM_MICROS;
    let statement = query(text).bind(until).bind(id).bind(next_at);
    let db = room.store.db.lane(LANE).patient();
    Ok(db.execute(statement).await? == 1)
}

/// Sends what is due, each by one of the processes that look. Answers how many mails were looked
/// at.
///
/// # Errors
/// The store's.
pub async fn send_due(room: &Ticketing) -> Result<usize, Problem> {
    let now = room.now();
    let text = "SELECT id, person_id, recipient, content, tries, next_at FROM tk_mails
        WHERE sent_at IS NULL AND failed IS NULL AND next_at <= $1 ORDER BY next_at, id LIMIT $2";
    let due = room
        .store
        .db
        .fetch_all(query(text).bind(now).bind(AT_ONCE))
        .await?;
    let mut persons = Vec::new();
    for row in &due {
        persons.push(row.get::<String>("person_id")?);
    }
    let persons = room.vault.load(&room.store.db, &persons).await?;
    for row in &due {
        let (id, person): (String, String) = (row.get("id")?, row.get("person_id")?);
        if !claim(room, &id, row.get("next_at")?).await? {
            continue;
        }
        let (to, content): (Vec<u8>, Vec<u8>) = (row.get("recipient")?, row.get("content")?);
        let opened = persons.get(&person).and_then(|person| {
            let to = person.open("mail.recipient", &to)?;
            let mail = serde_json::from_str(&person.open("mail.content", &content)?).ok()?;
            Some((to, mail))
        });
        let tries: i64 = row.get("tries")?;
        let outcome = match opened {
            None => Err(("the recipient was erased".to_owned(), true)),
            Some((to, mail)) => hand_on(room, &to, &mail)
                .await
                .map_err(|e| (e, tries + 1 >= TRIES_MAX)),
        };
        record(room, &id, outcome, tries).await?;
    }
    Ok(due.len())
}

async fn hand_on(room: &Ticketing, to: &str, mail: &Mail) -> Result<(), String> {
    match &room.mailer {
        Some(mailer) => mailer.deliver(&room.settings.mail_from, to, mail).await,
        None => Ok(()),
    }
}

async fn record(
    room: &Ticketing,
    id: &str,
    outcome: Result<(), (String, bool)>,
    tries: i64,
) -> Result<(), Problem> {
    let now = room.now();
    let statement = match outcome {
        Ok(()) => query("UPDATE tk_mails SET sent_at = $2, tries = tries + 1 WHERE id = $1")
            .bind(id)
            .bind(now),
        Err((error, true)) => {
            tracing::warn!(mail = id, error, "a mail was given up");
            query("UPDATE tk_mails SET failed = $2, tries = tries + 1 WHERE id = $1")
                .bind(id)
                .bind(error)
        }
        Err((error, false)) => {
            tracing::info!(mail = id, error, "a mail waits for another try");
            // 5 s, 10 s, 20 s … at most an hour.
            let wait = (5_000_000_i64 << tries.clamp(0, 10)).min(3_600_000_000);
            query("UPDATE tk_mails SET next_at = $2, tries = tries + 1 WHERE id = $1")
                .bind(id)
                .bind(now + wait)
        }
    };
    let db = room.store.db.lane(LANE).patient();
    db.execute(statement).await?;
    Ok(())
}

/// A mail of the local sink.
#[derive(Debug, Clone)]
pub struct Sent {
    /// Its id.
    pub id: String,
    /// To whom.
    pub to: String,
    /// What it is for.
    pub kind: String,
    /// When it was queued, microseconds.
    pub sent_at: i64,
    /// What it says.
    pub mail: Mail,
}

/// Mails to an address among the newest, newest first. Only for development.
///
/// # Errors
/// The store's.
pub async fn sent_to(room: &Ticketing, address: &str) -> Result<Vec<Sent>, Problem> {
    let text = "SELECT id, person_id, recipient, kind, content, created_at FROM tk_mails
        ORDER BY created_at DESC, id DESC LIMIT $1";
    let rows = room.store.db.fetch_all(query(text).bind(SHOWN_MAX)).await?;
    let mut persons = Vec::new();
    for row in &rows {
        persons.push(row.get::<String>("person_id")?);
    }
    persons.sort();
    persons.dedup();
    let persons = room.vault.load(&room.store.db, &persons).await?;
    let wanted = fold_mail(address);
    let mut found = Vec::new();
    for row in &rows {
        let person: String = row.get("person_id")?;
        let (to, content): (Vec<u8>, Vec<u8>) = (row.get("recipient")?, row.get("content")?);
        let Some(person) = persons.get(&person) else {
            continue;
        };
        let to = person
            .open("mail.recipient", &to)
            .filter(|to| fold_mail(to) == wanted);
        let mail = person.open("mail.content", &content);
        if let (Some(to), Some(mail)) = (to, mail) {
            found.push(Sent {
                id: row.get("id")?,
                to,
                kind: row.get("kind")?,
                sent_at: row.get("created_at")?,
                mail: serde_json::from_str(&mail).map_err(Problem::internal)?,
            });
        }
    }
    Ok(found)
}
