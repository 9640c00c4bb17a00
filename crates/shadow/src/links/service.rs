//! Links as handlers ask for them, and where they stand.

use std::sync::Arc;

use florin_ledger::Ledger;
use florin_ledger::engine::EntryPage;
use florin_ledger::model::{AccountId, Side, Slot};
use florin_platform::http::problem::{Problem, Status};
use florin_platform::sql::{Query, query};

use super::model::{COLUMNS, Link, Orientation};
use crate::corrections::service::Corrections;
use crate::model::BookId;
use crate::model::amount::join;
use crate::store::record::kind;
use crate::store::{Actor, NewRecord, Session, Shadow, WriteError};

/// A link to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewLink {
    /// The book.
    pub book: BookId,
    /// The ledger's account.
    pub ledger_account: String,
    /// Which side is a credit.
    pub orientation: Orientation,
    /// The bank's number of the account.
    pub account_ref: Option<String>,
}

/// Where a link stands. Amounts in minor units.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// The link.
    pub link: Link,
    /// Balance of the account at the link's position, as the book shows it.
    pub ledger: i128,
    /// Balance of the book at the same position.
    pub shadow: i128,
    /// Last `seq` of the ledger that the book reflects.
    pub feed_position: u64,
    /// Age of the oldest entry that is not mirrored yet, microseconds.
    pub lag_micros: i64,
}

/// Links of a shadow ledger; cheap to clone.
#[derive(Clone)]
pub struct Links(pub(super) Arc<Inner>);

pub(super) struct Inner {
    pub corrections: Corrections,
    pub ledger: Ledger,
}

fn unavailable(error: impl std::fmt::Display) -> Problem {
    Problem::unavailable("store_unavailable", "The ledger does not answer.").with_cause(error)
}

impl Links {
    /// Between a shadow ledger and the ledger of this process.
    pub fn new(corrections: Corrections, ledger: Ledger) -> Self {
        Self(Arc::new(Inner {
            corrections,
            ledger,
        }))
    }

    /// The shadow ledger.
    pub fn shadow(&self) -> &Shadow {
        self.0.corrections.shadow()
    }

    /// The slot of a link's account; `None` for one that the ledger makes on first use.
    pub(super) async fn slot(&self, account: &str) -> Result<Option<Slot>, Problem> {
        let Some(id) = AccountId::parse(account) else {
            return Ok(None);
        };
        self.0.ledger.slot_of(&id).await.map_err(unavailable)
    }

    /// `PUT …/links/{accountId}`: makes a link, or answers the one that is there already.
    ///
    /// # Errors
    /// 404 `account_not_found`, 422 `currency_mismatch`, 409 `book_not_empty`, and the store's.
    pub async fn put(&self, new: NewLink, actor: Actor) -> Result<(Link, bool), Problem> {
        self.check_account(&new).await?;
        let made = self
            .shadow()
            .write(move |session| Box::pin(async move { put(session, new, &actor).await }))
            .await?;
        Ok(made)
    }

    async fn check_account(&self, new: &NewLink) -> Result<(), Problem> {
        let missing = || {
            let detail = "The ledger has no such account.";
            Problem::not_found("account_not_found", detail)
        };
        let mismatch = || {
            let detail = "The account is kept in another currency.";
            Problem::new(Status::UnprocessableEntity, "currency_mismatch", detail)
        };
        let id = AccountId::parse(&new.ledger_account).ok_or_else(missing)?;
        match self.slot(&new.ledger_account).await? {
            Some(slot) => {
                let asset = self.0.ledger.asset(self.0.ledger.facts(slot).asset);
                match *asset.code == *new.book.currency {
                    true => Ok(()),
                    false => Err(mismatch()),
                }
            }
            // System accounts are made on first use: there is nothing to mirror yet.
            None => match id.as_system() {
                Some((_, asset)) if asset == new.book.currency => Ok(()),
                Some(_) => Err(mismatch()),
                None => Err(missing()),
            },
        }
    }

    /// All links, by account and currency.
    ///
    /// # Errors
    /// [`WriteError::Store`] or [`WriteError::Damaged`].
    pub async fn all(&self) -> Result<Vec<Link>, WriteError> {
        let text = format!("SELECT {COLUMNS} FROM shadow_links ORDER BY account_id, currency");
        let rows = self.shadow().db().fetch_all(Query::assembled(text)).await?;
        rows.iter().map(Link::from_row).collect()
    }

    /// The link of a book.
    ///
    /// # Errors
    /// [`WriteError::Store`] or [`WriteError::Damaged`].
    pub async fn find(&self, book: &BookId) -> Result<Option<Link>, WriteError> {
        let text =
            format!("SELECT {COLUMNS} FROM shadow_links WHERE account_id = $1 AND currency = $2");
        let statement = Query::assembled(text)
            .bind(&book.account_id)
            .bind(&book.currency);
        let row = self.shadow().db().fetch_optional(statement).await?;
        row.as_ref().map(Link::from_row).transpose()
    }

    /// Where a link stands: both balances at one position (INV-S24).
    ///
    /// # Errors
    /// 404 `link_not_found`; 503 when ledger or store do not answer.
    pub async fn standing(&self, book: &BookId) -> Result<Standing, Problem> {
        // One statement: the position and the balance that belongs to it.
        let text = "SELECT l.position AS at, b.m0, b.m1, b.m2 FROM shadow_links AS l
            LEFT JOIN shadow_books AS b
                ON b.account_id = l.account_id AND b.currency = l.currency
            WHERE l.account_id = $1 AND l.currency = $2";
        let statement = query(text).bind(&book.account_id).bind(&book.currency);
        let row = self.shadow().db().fetch_optional(statement).await?;
        let row = row.ok_or_else(not_found)?;
        let columns = [
            row.get::<Option<i64>>("m0")?.unwrap_or(0),
            row.get::<Option<i64>>("m1")?.unwrap_or(0),
            row.get::<Option<i64>>("m2")?.unwrap_or(0),
        ];
        let shadow = join(columns).ok_or_else(|| Problem::internal("balance of a book"))?;
        let position = row.get::<i64>("at")?.unsigned_abs();
        let link = self.find(book).await?.ok_or_else(not_found)?;
        let slot = self.slot(&link.ledger_account).await?;
        let view = self.0.ledger.read_view().await.map_err(unavailable)?;
        let end = view.seq();
        let orientation = link.orientation;
        let now = self.shadow().clock().wall_micros();
        let read = tokio::task::spawn_blocking(move || {
            let Some(slot) = slot else {
                return Ok((0, end, 0));
            };
            let last = EntryPage {
                descending: true,
                up_to_seq: Some(position),
                limit: 1,
                ..EntryPage::default()
            };
            let next = EntryPage {
                after: Some((0, position)),
                limit: 1,
                ..EntryPage::default()
            };
            let last = view.entries(slot, &last)?;
            let next = view.entries(slot, &next)?;
            let normal = match orientation {
                Orientation::Asset => Side::Debit,
                Orientation::Liability => Side::Credit,
            };
            let balance = last
                .first()
                .map(|entry| entry.after.balance(normal).to_i128());
            let (reached, lag) = match next.first() {
                None => (end, 0),
                Some(entry) => {
                    let recorded = view.recorded_at(entry.seq)?.micros();
                    (position, now.saturating_sub(recorded).max(0))
                }
            };
            Ok((
                balance.unwrap_or(Some(0)).unwrap_or(i128::MAX),
                reached,
                lag,
            ))
        })
        .await
        .map_err(Problem::internal)?;
        let (ledger, feed_position, lag_micros) =
            read.map_err(|error: florin_ledger::engine::ReadError| unavailable(error))?;
        Ok(Standing {
            link,
            ledger,
            shadow,
            feed_position,
            lag_micros,
        })
    }
}

/// 404 `link_not_found`.
pub(crate) fn not_found() -> Problem {
    Problem::not_found("link_not_found", "This book is not linked.")
}

async fn put(
    session: &mut Session,
    new: NewLink,
    actor: &Actor,
) -> Result<(Link, bool), WriteError> {
    let text =
        format!("SELECT {COLUMNS} FROM shadow_links WHERE account_id = $1 AND currency = $2");
    let statement = Query::assembled(text)
        .bind(&new.book.account_id)
        .bind(&new.book.currency);
    if let Some(row) = session.tx().fetch_optional(statement).await? {
        let known = Link::from_row(&row)?;
        let same = known.ledger_account == new.ledger_account
            && known.orientation == new.orientation
            && known.account_ref == new.account_ref;
        return match same {
            true => Ok((known, false)),
            false => Err(not_empty().into()),
        };
    }
    let taken = "SELECT account_id FROM shadow_links WHERE ledger_account = $1";
    let taken = query(taken).bind(&new.ledger_account);
    if session.tx().fetch_optional(taken).await?.is_some() {
        let detail = "Another book shadows this ledger account.";
        return Err(Problem::conflict("already_linked", detail).into());
    }
    if !session.book(&new.book).await?.is_empty() {
        return Err(not_empty().into());
    }
    session.link(&new.book, actor).await?;
    let now = session.now();
    let body = serde_json::json!({
        "action": "setting.linked",
        "ledgerAccount": new.ledger_account,
        "orientation": new.orientation.as_str(),
        "accountRef": new.account_ref,
    });
    let record = NewRecord::new(kind::SETTING, actor.clone(), &body)
        .about(&new.book)
        .subject(format!("link:{}", new.book));
    session.append(record);
    let insert = "INSERT INTO shadow_links (account_id, currency, ledger_account, orientation,
        account_ref, position, read_at, made_by, made_at)
        VALUES ($1, $2, $3, $4, $5, 0, $6, $7, $6)";
    let insert = query(insert)
        .bind(&new.book.account_id)
        .bind(&new.book.currency)
        .bind(&new.ledger_account)
        .bind(new.orientation.as_str())
        .bind(new.account_ref.clone())
        .bind(now)
        .bind(&actor.subject);
    session.tx().execute(insert).await?;
    let link = Link {
        book: new.book,
        ledger_account: new.ledger_account,
        orientation: new.orientation,
        account_ref: new.account_ref,
        position: 0,
        made_by: actor.subject.clone(),
        made_at: now,
    };
    Ok((link, true))
}

fn not_empty() -> Problem {
    let detail = "The book has events or another link already.";
    Problem::conflict("book_not_empty", detail)
}
