//! Mails: queued in the transaction of the fact, sent after by whoever the installation wired.
//!
//! Recipient and content are sealed under the recipient's key ([`crate::privacy`]).

use std::collections::BTreeSet;

use florin_platform::http::problem::Problem;
use florin_platform::sql::{Arg, Tx, query};
use serde::{Deserialize, Serialize};

use crate::Ticketing;
use crate::model::buyer::fold_mail;
use crate::privacy::Person;
use crate::store::{Store, bulk};

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

/// A mail that is queued.
#[derive(Debug, Clone, Copy)]
pub struct Outgoing<'a> {
    /// The recipient, under whose key it is sealed.
    pub person: &'a Person,
    /// His address.
    pub address: &'a str,
    /// What it is for (`order.confirmed`).
    pub kind: &'static str,
    /// What it says.
    pub mail: &'a Mail,
}

/// Queues mails; they leave after the commit.
///
/// # Errors
/// The store's.
pub async fn send(store: &Store, tx: &mut Tx, mails: &[Outgoing<'_>]) -> Result<(), Problem> {
    let now = store.now();
    let mut rows = Vec::with_capacity(mails.len());
    for one in mails {
        let content = serde_json::to_string(one.mail).map_err(Problem::internal)?;
        rows.push(vec![
            Arg::from(store.id()),
            Arg::from(&one.person.id),
            Arg::from(one.person.seal("mail.recipient", one.address)),
            Arg::from(one.kind),
            Arg::from(one.person.seal("mail.content", &content)),
            Arg::from(now),
            Arg::from(now),
        ]);
    }
    let prefix =
        "INSERT INTO tk_mails (id, person_id, recipient, kind, content, created_at, next_at)";
    bulk::insert(tx, store.marks(), prefix, "", rows).await?;
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

/// How long mails are taken by the process that sends them.
const CLAIM_MICROS: i64 = 60_000_000;
/// Longest time of a round; what it does not reach is given back while its claim holds.
const ROUND_MICROS: i64 = 20_000_000;
/// A lane of its own: mails must not wait for a sale, nor a sale for them.
const LANE: &str = "ticketing_mails";

/// Takes mails; answers those that no other process was quicker to take.
async fn claim(room: &Ticketing, ids: Vec<Arg>, now: i64) -> Result<BTreeSet<String>, Problem> {
    let mut tx = room.store.db.lane(LANE).patient().begin().await?;
    let first = [Arg::from(room.now() + CLAIM_MICROS), Arg::from(now)];
    let prefix = "UPDATE tk_mails SET next_at = $1
        WHERE next_at <= $2 AND sent_at IS NULL AND failed IS NULL AND id IN";
    let marks = room.store.marks();
    let rows = bulk::select(&mut tx, marks, prefix, "RETURNING id", &first, ids).await?;
    let ids = rows.iter().map(|row| row.get("id"));
    let ids = ids.collect::<Result<_, _>>()?;
    tx.commit().await?;
    Ok(ids)
}

/// What a round came to.
#[derive(Default)]
struct Round {
    sent: Vec<Arg>,
    /// Not tried: there was no time.
    left: Vec<Arg>,
    /// Id, error, tries so far, given up.
    failed: Vec<(String, String, i64, bool)>,
}

/// Sends what is due, each by one of the processes that look. Answers how many mails were looked
/// at. A round is two commits, however many mails it has: a process that dies in between has
/// sent some of them, and they are sent again.
///
/// # Errors
/// The store's.
pub async fn send_due(room: &Ticketing) -> Result<usize, Problem> {
    let now = room.now();
    let text = "SELECT id, person_id, recipient, content, tries FROM tk_mails
        WHERE sent_at IS NULL AND failed IS NULL AND next_at <= $1 ORDER BY next_at, id LIMIT $2";
    let due = room
        .store
        .db
        .fetch_all(query(text).bind(now).bind(AT_ONCE))
        .await?;
    if due.is_empty() {
        return Ok(0);
    }
    let (mut ids, mut persons) = (Vec::new(), Vec::new());
    for row in &due {
        ids.push(Arg::from(row.get::<String>("id")?));
        persons.push(row.get::<String>("person_id")?);
    }
    let ours = claim(room, ids, now).await?;
    let persons = room.vault.load(&room.store.db, &persons).await?;
    let mut round = Round::default();
    for row in &due {
        let (id, person): (String, String) = (row.get("id")?, row.get("person_id")?);
        if !ours.contains(&id) {
            continue;
        }
        if room.now() - now > ROUND_MICROS {
            round.left.push(Arg::from(id));
            continue;
        }
        let (to, content): (Vec<u8>, Vec<u8>) = (row.get("recipient")?, row.get("content")?);
        let opened = persons.get(&person).and_then(|person| {
            let to = person.open("mail.recipient", &to)?;
            let mail = serde_json::from_str(&person.open("mail.content", &content)?).ok()?;
            Some((to, mail))
        });
        let tries: i64 = row.get("tries")?;
        match opened {
            None => {
                let error = "the recipient was erased".to_owned();
                round.failed.push((id, error, tries, true));
            }
            Some((to, mail)) => match hand_on(room, &to, &mail).await {
                Ok(()) => round.sent.push(Arg::from(id)),
                Err(error) => {
                    let over = tries + 1 >= TRIES_MAX;
                    round.failed.push((id, error, tries, over));
                }
            },
        }
    }
    round.record(room).await?;
    Ok(due.len())
}

async fn hand_on(room: &Ticketing, to: &str, mail: &Mail) -> Result<(), String> {
    match &room.mailer {
        Some(mailer) => mailer.deliver(&room.settings.mail_from, to, mail).await,
        None => Ok(()),
    }
}

impl Round {
    async fn record(self, room: &Ticketing) -> Result<(), Problem> {
        let now = room.now();
        let marks = room.store.marks();
        let mut tx = room.store.db.lane(LANE).patient().begin().await?;
        let sent = "UPDATE tk_mails SET sent_at = $1, tries = tries + 1 WHERE id IN";
        let left = "UPDATE tk_mails SET next_at = $1 WHERE id IN";
        for (prefix, ids) in [(sent, self.sent), (left, self.left)] {
            bulk::execute(&mut tx, marks, prefix, "", &[Arg::from(now)], ids).await?;
        }
        for (id, error, tries, over) in self.failed {
            let statement = match over {
                true => {
                    tracing::warn!(mail = id, error, "a mail was given up");
                    query("UPDATE tk_mails SET failed = $2, tries = tries + 1 WHERE id = $1")
                        .bind(id)
                        .bind(error)
                }
                false => {
                    tracing::info!(mail = id, error, "a mail waits for another try");
                    // 5 s, 10 s, 20 s … at most an hour.
                    let wait = (5_000_000_i64 << tries.clamp(0, 10)).min(3_600_000_000);
                    query("UPDATE tk_mails SET next_at = $2, tries = tries + 1 WHERE id = $1")
                        .bind(id)
                        .bind(now + wait)
                }
            };
            tx.execute(statement).await?;
        }
        Ok(tx.commit().await?)
    }
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
