//! The tables of checks: what was asked, seen and found.

use florin_platform::sql::{Arg, Db, Query, Row, Tx, query};
use serde::{Deserialize, Serialize};

use super::input::Item;
use crate::model::BookId;
use crate::store::WriteError;

/// A check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// Its id.
    pub id: String,
    /// Record that began it.
    pub made_seq: i64,
    /// Newest record when its first account was compared.
    pub log_seq: i64,
    /// `receiving`, `running` or `done`.
    pub state: String,
    /// Its answer is paged.
    pub streamed: bool,
    /// SHA-256 of what was asked.
    pub body_digest: Vec<u8>,
    /// Mode in force.
    pub mode: String,
    /// Policy in force, as JSON.
    pub policy: String,
    /// Who asked.
    pub actor: String,
    /// In which role.
    pub role: Option<String>,
    /// Trace id of the request.
    pub trace_id: Option<String>,
    /// Microseconds.
    pub started_at: i64,
    /// Microseconds.
    pub finished_at: Option<i64>,
    /// Accounts.
    pub accounts: i64,
    /// Accounts compared.
    pub done: i64,
    /// Pages of accounts.
    pub pages: i64,
    /// Mismatches.
    pub drifts: i64,
    /// Corrections made.
    pub corrections: i64,
    /// Sums of what was tolerated by currency, minor units, as JSON.
    pub tolerated: String,
}

/// The columns of a check.
pub const CHECK: &str = "check_id, made_seq, log_seq, state, streamed, body_digest, mode, policy,
    actor, role, trace_id, started_at, finished_at, accounts, done, pages, drifts, corrections,
    tolerated";

impl Check {
    /// Reads a row with [`CHECK`].
    ///
    /// # Errors
    /// [`WriteError::Store`].
    pub fn from_row(row: &Row) -> Result<Self, WriteError> {
        Ok(Self {
            id: row.get("check_id")?,
            made_seq: row.get("made_seq")?,
            log_seq: row.get("log_seq")?,
            state: row.get("state")?,
            streamed: row.get("streamed")?,
            body_digest: row.get("body_digest")?,
            mode: row.get("mode")?,
            policy: row.get("policy")?,
            actor: row.get("actor")?,
            role: row.get("role")?,
            trace_id: row.get("trace_id")?,
            started_at: row.get("started_at")?,
            finished_at: row.get("finished_at")?,
            accounts: row.get("accounts")?,
            done: row.get("done")?,
            pages: row.get("pages")?,
            drifts: row.get("drifts")?,
            corrections: row.get("corrections")?,
            tolerated: row.get("tolerated")?,
        })
    }

    /// Puts a new row in.
    ///
    /// # Errors
    /// As [`Tx::execute`].
    pub async fn insert(&self, tx: &mut Tx) -> Result<(), WriteError> {
        let names: Vec<String> = (1..=19).map(|n| format!("${n}")).collect();
        let text = format!(
            "INSERT INTO shadow_drift_checks ({CHECK}) VALUES ({})",
            names.join(", ")
        );
        let args: Vec<Arg> = vec![
            (&self.id).into(),
            self.made_seq.into(),
            self.log_seq.into(),
            (&self.state).into(),
            self.streamed.into(),
            self.body_digest.clone().into(),
            (&self.mode).into(),
            (&self.policy).into(),
            (&self.actor).into(),
            self.role.clone().into(),
            self.trace_id.clone().into(),
            self.started_at.into(),
            self.finished_at.into(),
            self.accounts.into(),
            self.done.into(),
            self.pages.into(),
            self.drifts.into(),
            self.corrections.into(),
            (&self.tolerated).into(),
        ];
        let mut statement = Query::assembled(text);
        for arg in args {
            statement = statement.bind(arg);
        }
        tx.execute(statement).await?;
        Ok(())
    }
}

const FIND: &str = "SELECT check_id, made_seq, log_seq, state, streamed, body_digest, mode, policy,
    actor, role, trace_id, started_at, finished_at, accounts, done, pages, drifts, corrections,
    tolerated FROM shadow_drift_checks WHERE check_id = $1";

/// One check.
///
/// # Errors
/// [`WriteError::Store`].
pub async fn find(db: &Db, id: &str) -> Result<Option<Check>, WriteError> {
    let row = db.fetch_optional(query(FIND).bind(id)).await?;
    row.as_ref().map(Check::from_row).transpose()
}

/// One check, inside a transaction.
///
/// # Errors
/// [`WriteError::Store`].
pub async fn find_in(tx: &mut Tx, id: &str) -> Result<Option<Check>, WriteError> {
    let row = tx.fetch_optional(query(FIND).bind(id)).await?;
    row.as_ref().map(Check::from_row).transpose()
}

/// Checks that are not finished, oldest first.
///
/// # Errors
/// [`WriteError::Store`].
pub async fn unfinished(db: &Db) -> Result<Vec<Check>, WriteError> {
    let text = format!(
        "SELECT {CHECK} FROM shadow_drift_checks WHERE state <> 'done' ORDER BY made_seq, check_id"
    );
    let rows = db.fetch_all(Query::assembled(text)).await?;
    rows.iter().map(Check::from_row).collect()
}

/// An account as it stands in a page: account, currency, asOf, reported, statement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked(
    pub String,
    pub String,
    pub Option<i64>,
    pub String,
    pub Option<String>,
);

impl From<&Item> for Asked {
    fn from(item: &Item) -> Self {
        Self(
            item.account.clone(),
            item.currency.clone(),
            item.as_of,
            item.reported.to_string(),
            item.statement.clone(),
        )
    }
}

impl Asked {
    /// Its book.
    pub fn book(&self) -> BookId {
        BookId::new(&self.0, &self.1)
    }

    /// The reported balance, minor units.
    ///
    /// # Errors
    /// [`WriteError::Damaged`].
    pub fn reported(&self) -> Result<i128, WriteError> {
        number(&self.3)
    }
}

/// What was seen of an account: shadow balance, pending corrections, flags.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen(pub String, pub String, pub u8);

/// The book has recorded events.
pub const KNOWN: u8 = 1;
/// The difference is within tolerance.
pub const TOLERATED: u8 = 2;

/// Minor units of a text column.
///
/// # Errors
/// [`WriteError::Damaged`].
pub fn number(text: &str) -> Result<i128, WriteError> {
    text.parse().map_err(|_| WriteError::Damaged("amount"))
}

/// A page of a check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// Its number.
    pub page: i64,
    /// Place of its first account in the check.
    pub first: i64,
    /// The accounts.
    pub items: Vec<Asked>,
    /// What was seen of them; empty until they were compared.
    pub seen: Vec<Seen>,
}

const PAGE: &str = "SELECT page, first, items, seen FROM shadow_drift_pages";

impl Page {
    fn from_row(row: &Row) -> Result<Self, WriteError> {
        let damaged = |_| WriteError::Damaged("page of a check");
        let items: String = row.get("items")?;
        let seen: Option<String> = row.get("seen")?;
        Ok(Self {
            page: row.get("page")?,
            first: row.get("first")?,
            items: serde_json::from_str(&items).map_err(damaged)?,
            seen: match seen {
                Some(text) => serde_json::from_str(&text).map_err(damaged)?,
                None => Vec::new(),
            },
        })
    }
}

/// One page.
///
/// # Errors
/// [`WriteError::Store`] or [`WriteError::Damaged`].
pub async fn page(db: &Db, check: &str, page: i64) -> Result<Option<Page>, WriteError> {
    let text = format!("{PAGE} WHERE check_id = $1 AND page = $2");
    let statement = Query::assembled(text).bind(check).bind(page);
    let row = db.fetch_optional(statement).await?;
    row.as_ref().map(Page::from_row).transpose()
}

/// The page in which an account stands.
///
/// # Errors
/// As [`page`].
pub async fn page_of(db: &Db, check: &str, n: i64) -> Result<Option<Page>, WriteError> {
    let text = format!(
        "{PAGE} WHERE check_id = $1 AND first <= $2 AND first + accounts > $2 ORDER BY page LIMIT 1"
    );
    let statement = Query::assembled(text).bind(check).bind(n);
    let row = db.fetch_optional(statement).await?;
    row.as_ref().map(Page::from_row).transpose()
}

/// Puts a page of accounts in.
///
/// # Errors
/// As [`Tx::execute`].
pub async fn insert_page(
    tx: &mut Tx,
    check: &str,
    page: i64,
    first: i64,
    items: &[Asked],
) -> Result<(), WriteError> {
    let json = serde_json::to_string(items).map_err(|_| WriteError::Damaged("page of a check"))?;
    let text = "INSERT INTO shadow_drift_pages (check_id, page, first, accounts, items)
        VALUES ($1, $2, $3, $4, $5)";
    let row = query(text)
        .bind(check)
        .bind(page)
        .bind(first)
        .bind(i64::try_from(items.len()).unwrap_or(i64::MAX))
        .bind(json);
    tx.execute(row).await?;
    Ok(())
}
