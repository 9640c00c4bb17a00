//! The table `shadow_corrections`: rows in, rows out. What may happen to them is
//! [`super::steps`].

use florin_platform::sql::{Arg, Db, Query, Tx, query};

use super::model::{COLUMNS, Correction};
use super::rules::Status;
use crate::model::BookId;
use crate::model::amount::{join, split};
use crate::store::WriteError;

/// Open corrections of one book that are read at a time.
const OPEN_MAX: i64 = 10_000;

/// Puts a new row in.
///
/// # Errors
/// As [`Tx::execute`].
pub async fn insert(tx: &mut Tx, correction: &Correction) -> Result<(), WriteError> {
    let names: Vec<String> = (1..=27).map(|n| format!("${n}")).collect();
    let text = format!(
        "INSERT INTO shadow_corrections ({COLUMNS}) VALUES ({})",
        names.join(", ")
    );
    let mut statement = Query::assembled(text);
    for arg in args(correction) {
        statement = statement.bind(arg);
    }
    tx.execute(statement).await?;
    Ok(())
}

fn args(correction: &Correction) -> Vec<Arg> {
    let [m0, m1, m2] = split(correction.signed);
    vec![
        (&correction.id).into(),
        (&correction.book.account_id).into(),
        (&correction.book.currency).into(),
        m0.into(),
        m1.into(),
        m2.into(),
        correction.timestamp.into(),
        correction.kind.as_str().into(),
        correction.status.as_str().into(),
        (&correction.reason).into(),
        (&correction.proposed_by).into(),
        correction.approved_by.clone().into(),
        correction.door.as_str().into(),
        correction.cause.clone().into(),
        correction.check_id.clone().into(),
        correction.line_id.clone().into(),
        correction.partner.clone().into(),
        correction.target.clone().into(),
        correction.transfer_id.clone().into(),
        correction.request.clone().into(),
        correction.trace_id.clone().into(),
        correction.proposed_at.into(),
        correction.decided_at.into(),
        correction.applied_at.into(),
        correction.auto_day.into(),
        correction.made_seq.into(),
        correction.log_seq.into(),
    ]
}

/// Stores what a step has changed.
///
/// # Errors
/// As [`Tx::execute`].
pub async fn update(tx: &mut Tx, correction: &Correction) -> Result<(), WriteError> {
    let text = "UPDATE shadow_corrections SET status = $2, approved_by = $3, transfer_id = $4,
        decided_at = $5, applied_at = $6, auto_day = $7, log_seq = $8, partner = $9 WHERE id = $1";
    let statement = query(text)
        .bind(&correction.id)
        .bind(correction.status.as_str())
        .bind(correction.approved_by.clone())
        .bind(correction.transfer_id.clone())
        .bind(correction.decided_at)
        .bind(correction.applied_at)
        .bind(correction.auto_day)
        .bind(correction.log_seq)
        .bind(correction.partner.clone());
    tx.execute(statement).await?;
    Ok(())
}

/// One correction, inside a transaction.
///
/// # Errors
/// [`WriteError::Store`] or [`WriteError::Damaged`].
pub async fn find_in(tx: &mut Tx, id: &str) -> Result<Option<Correction>, WriteError> {
    let text = format!("SELECT {COLUMNS} FROM shadow_corrections WHERE id = $1");
    let row = tx.fetch_optional(Query::assembled(text).bind(id)).await?;
    row.as_ref().map(Correction::from_row).transpose()
}

/// One correction.
///
/// # Errors
/// [`WriteError::Store`] or [`WriteError::Damaged`].
pub async fn find(db: &Db, id: &str) -> Result<Option<Correction>, WriteError> {
    let text = format!("SELECT {COLUMNS} FROM shadow_corrections WHERE id = $1");
    let row = db.fetch_optional(Query::assembled(text).bind(id)).await?;
    row.as_ref().map(Correction::from_row).transpose()
}

/// The corrections that redrive, reverse or accept something, oldest first.
///
/// # Errors
/// [`WriteError::Store`] or [`WriteError::Damaged`].
pub async fn of_target(tx: &mut Tx, target: &str) -> Result<Vec<Correction>, WriteError> {
    let text =
        format!("SELECT {COLUMNS} FROM shadow_corrections WHERE target = $1 ORDER BY made_seq, id");
    let rows = tx.fetch_all(Query::assembled(text).bind(target)).await?;
    rows.iter().map(Correction::from_row).collect()
}

/// The correction that a ledger transfer brings.
///
/// # Errors
/// [`WriteError::Store`] or [`WriteError::Damaged`].
pub async fn of_transfer(tx: &mut Tx, transfer: &str) -> Result<Option<Correction>, WriteError> {
    let text = format!("SELECT {COLUMNS} FROM shadow_corrections WHERE transfer_id = $1");
    let row = tx
        .fetch_optional(Query::assembled(text).bind(transfer))
        .await?;
    row.as_ref().map(Correction::from_row).transpose()
}

/// What a book's proposed and approved corrections will add to it, and the newest of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Open {
    /// Sum in minor units.
    pub sum: i128,
    /// The oldest one's id and status.
    pub first: Option<(String, Status)>,
    /// Causes of all of them.
    pub causes: Vec<String>,
    /// Statement lines of all of them.
    pub lines: Vec<String>,
    /// Targets of all of them.
    pub targets: Vec<String>,
}

const OPEN: &str = "FROM shadow_corrections WHERE account_id = $1 AND currency = $2
    AND status IN ('proposed', 'approved') AND kind <> 'variance' ORDER BY made_seq, id LIMIT $3";

fn open_query(book: &BookId) -> Query {
    Query::assembled(format!("SELECT {COLUMNS} {OPEN}"))
        .bind(&book.account_id)
        .bind(&book.currency)
        .bind(OPEN_MAX)
}

fn open_of(rows: Vec<florin_platform::sql::Row>) -> Result<Open, WriteError> {
    let mut open = Open::default();
    for row in &rows {
        let correction = Correction::from_row(row)?;
        let sum = open.sum.checked_add(correction.pending());
        open.sum = sum.ok_or(WriteError::Damaged("sum of corrections"))?;
        if open.first.is_none() {
            open.first = Some((correction.id.clone(), correction.status));
        }
        open.causes.extend(correction.cause);
        open.lines.extend(correction.line_id);
        open.targets.extend(correction.target);
    }
    Ok(open)
}

/// Open corrections of a book, inside a transaction.
///
/// # Errors
/// [`WriteError::Store`] or [`WriteError::Damaged`].
pub async fn open_in(tx: &mut Tx, book: &BookId) -> Result<Open, WriteError> {
    open_of(tx.fetch_all(open_query(book)).await?)
}

/// Open corrections of a book.
///
/// # Errors
/// [`WriteError::Store`] or [`WriteError::Damaged`].
pub async fn open(db: &Db, book: &BookId) -> Result<Open, WriteError> {
    open_of(db.fetch_all(open_query(book)).await?)
}

/// What the policy has posted to a book on a UTC day, without signs, minor units.
///
/// # Errors
/// [`WriteError::Store`] or [`WriteError::Damaged`].
pub async fn auto_spent(tx: &mut Tx, book: &BookId, day: i64) -> Result<i128, WriteError> {
    let text = "SELECT m0, m1, m2 FROM shadow_corrections
        WHERE account_id = $1 AND currency = $2 AND auto_day = $3";
    let statement = query(text)
        .bind(&book.account_id)
        .bind(&book.currency)
        .bind(day);
    let mut sum: i128 = 0;
    for row in tx.fetch_all(statement).await? {
        let columns = [row.get("m0")?, row.get("m1")?, row.get("m2")?];
        let size = join(columns).and_then(|signed| sum.checked_add(signed.abs()));
        sum = size.ok_or(WriteError::Damaged("sum of corrections"))?;
    }
    Ok(sum)
}

/// Proposals older than an instant, oldest first.
///
/// # Errors
/// As [`Db::fetch_all`].
pub async fn due(db: &Db, proposed_until: i64, limit: i64) -> Result<Vec<String>, WriteError> {
    let text = "SELECT id FROM shadow_corrections WHERE status = 'proposed' AND proposed_at <= $1
        ORDER BY proposed_at, id LIMIT $2";
    let rows = db
        .fetch_all(query(text).bind(proposed_until).bind(limit))
        .await?;
    rows.iter().map(|row| Ok(row.get("id")?)).collect()
}

/// The same person's last correction of this account, type and amount since an instant.
///
/// # Errors
/// As [`Tx::fetch_all`].
pub async fn repeats(
    tx: &mut Tx,
    book: &BookId,
    signed: i128,
    by: &str,
    since: i64,
) -> Result<Option<String>, WriteError> {
    let [m0, m1, m2] = split(signed);
    let text = "SELECT id FROM shadow_corrections WHERE account_id = $1 AND currency = $2
        AND m0 = $3 AND m1 = $4 AND m2 = $5 AND proposed_by = $6 AND proposed_at > $7
        AND kind = 'manual' ORDER BY made_seq DESC LIMIT 1";
    let statement = query(text)
        .bind(&book.account_id)
        .bind(&book.currency)
        .bind(m0)
        .bind(m1)
        .bind(m2)
        .bind(by)
        .bind(since);
    let row = tx.fetch_optional(statement).await?;
    row.map(|row| Ok(row.get("id")?)).transpose()
}

/// The corrections that a check made, in the order in which it made them.
///
/// # Errors
/// [`WriteError::Store`] or [`WriteError::Damaged`].
pub async fn of_check(db: &Db, check: &str) -> Result<Vec<Correction>, WriteError> {
    let text =
        format!("SELECT {COLUMNS} FROM shadow_corrections WHERE check_id = $1 ORDER BY made_seq");
    let rows = db.fetch_all(Query::assembled(text).bind(check)).await?;
    rows.iter().map(Correction::from_row).collect()
}
