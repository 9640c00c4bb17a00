//! Reading statements, lines, profiles and account references.

use florin_platform::sql::{Db, Query, Tx, query};

use super::csv::Profile;
use super::stored::{LINE, STATEMENT, Statement, StoredLine};
use crate::store::WriteError;

type Read<T> = Result<T, WriteError>;

/// Imports that were begun before an instant and not ended.
///
/// # Errors
/// The store's.
pub async fn staging(db: &Db, before: i64) -> Read<Vec<i64>> {
    let text = "SELECT number FROM shadow_imports WHERE state = 'staging' AND created_at < $1";
    let rows = db.fetch_all(query(text).bind(before)).await?;
    rows.iter().map(|row| Ok(row.get("number")?)).collect()
}

/// The whole import of a file's digest.
///
/// # Errors
/// The store's.
pub async fn import_of(db: &Db, digest: [u8; 32]) -> Read<Option<String>> {
    let text = "SELECT id FROM shadow_imports WHERE file_digest = $1 AND state = 'done' AND whole";
    let row = db.fetch_optional(query(text).bind(digest)).await?;
    Ok(row.map(|row| row.get("id")).transpose()?)
}

/// A stored import.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportRow {
    /// Its id.
    pub id: String,
    /// Digest of the file.
    pub file_digest: Vec<u8>,
    /// What was shown, JSON.
    pub items: String,
}

/// A finished import.
///
/// # Errors
/// The store's.
pub async fn import(db: &Db, id: &str) -> Read<Option<ImportRow>> {
    let text = "SELECT id, file_digest, items FROM shadow_imports WHERE id = $1 AND state = 'done'";
    let Some(row) = db.fetch_optional(query(text).bind(id)).await? else {
        return Ok(None);
    };
    Ok(Some(ImportRow {
        id: row.get("id")?,
        file_digest: row.get("file_digest")?,
        items: row.get("items")?,
    }))
}

/// A profile by its name.
///
/// # Errors
/// The store's.
pub async fn profile(db: &Db, name: &str) -> Read<Option<Profile>> {
    let text = "SELECT body FROM shadow_csv_profiles WHERE name = $1";
    let Some(row) = db.fetch_optional(query(text).bind(name)).await? else {
        return Ok(None);
    };
    let body: String = row.get("body")?;
    let profile = serde_json::from_str(&body).map_err(|_| WriteError::Damaged("profile"))?;
    Ok(Some(profile))
}

/// The account that a reference was mapped to.
///
/// # Errors
/// The store's.
pub async fn account_of(db: &Db, reference: &str) -> Read<Option<String>> {
    let text = "SELECT account_id FROM shadow_account_refs WHERE ref = $1";
    let row = db.fetch_optional(query(text).bind(reference)).await?;
    Ok(row.map(|row| row.get("account_id")).transpose()?)
}

/// The statement of an identity.
///
/// # Errors
/// The store's.
pub async fn by_identity(tx: &mut Tx, identity: &[u8]) -> Read<Option<Statement>> {
    let text = format!("SELECT {STATEMENT} FROM shadow_statements WHERE identity = $1");
    let row = tx
        .fetch_optional(Query::assembled(text).bind(identity))
        .await?;
    row.map(|row| Statement::from_row(&row)).transpose()
}

/// The order of a book's statements.
fn place(statement: &Statement) -> (i32, Option<i64>, Option<i64>, i64) {
    (
        statement.last_day.0,
        statement.sequence,
        statement.page,
        statement.number,
    )
}

/// Puts the statements of a book into their order: by last day, then the bank's number and page,
/// then import.
pub fn in_order(statements: &mut [Statement]) {
    statements.sort_by_key(place);
}

/// The statement of the same book just before this one.
///
/// # Errors
/// The store's.
pub async fn previous(tx: &mut Tx, statement: &Statement) -> Read<Option<Statement>> {
    // All of the same last day are looked at: their order is not that of the index.
    let text = format!(
        "SELECT {STATEMENT} FROM shadow_statements WHERE account_id = $1 AND currency = $2
            AND last_day = $3"
    );
    let same_day = Query::assembled(text)
        .bind(&statement.account_id)
        .bind(&statement.currency)
        .bind(statement.last_day.0);
    let mut found = Vec::new();
    for row in tx.fetch_all(same_day).await? {
        found.push(Statement::from_row(&row)?);
    }
    found.retain(|other| place(other) < place(statement));
    if found.is_empty() {
        let text = format!(
            "SELECT {STATEMENT} FROM shadow_statements WHERE account_id = $1 AND currency = $2
                AND last_day = (SELECT MAX(last_day) FROM shadow_statements
                    WHERE account_id = $1 AND currency = $2 AND last_day < $3)"
        );
        let before = Query::assembled(text)
            .bind(&statement.account_id)
            .bind(&statement.currency)
            .bind(statement.last_day.0);
        for row in tx.fetch_all(before).await? {
            found.push(Statement::from_row(&row)?);
        }
    }
    in_order(&mut found);
    Ok(found.pop())
}

/// Statements of a book that were known at a record of the log, in their order.
///
/// # Errors
/// The store's.
pub async fn of_book(db: &Db, account: &str, currency: &str, log_seq: i64) -> Read<Vec<Statement>> {
    let text = format!(
        "SELECT {STATEMENT} FROM shadow_statements WHERE account_id = $1 AND currency = $2
            AND log_seq <= $3"
    );
    let wanted = Query::assembled(text)
        .bind(account)
        .bind(currency)
        .bind(log_seq);
    let mut found = Vec::new();
    for row in db.fetch_all(wanted).await? {
        found.push(Statement::from_row(&row)?);
    }
    in_order(&mut found);
    Ok(found)
}

/// A statement by its id.
///
/// # Errors
/// The store's.
pub async fn statement(db: &Db, id: &str) -> Read<Option<Statement>> {
    let text = format!("SELECT {STATEMENT} FROM shadow_statements WHERE id = $1");
    let row = db.fetch_optional(Query::assembled(text).bind(id)).await?;
    row.map(|row| Statement::from_row(&row)).transpose()
}

/// A statement by its number.
///
/// # Errors
/// The store's.
pub async fn statement_numbered(db: &Db, number: i64) -> Read<Option<Statement>> {
    let text = format!("SELECT {STATEMENT} FROM shadow_statements WHERE number = $1");
    let row = db
        .fetch_optional(Query::assembled(text).bind(number))
        .await?;
    row.map(|row| Statement::from_row(&row)).transpose()
}

/// Which statements a list shows.
#[derive(Debug, Clone, Default)]
pub struct StatementFilter<'a> {
    /// Only of this account.
    pub account: Option<&'a str>,
    /// Only in this currency.
    pub currency: Option<&'a str>,
    /// Only behind this number.
    pub after: i64,
    /// Most rows.
    pub limit: usize,
}

/// A page of statements by number.
///
/// # Errors
/// The store's.
pub async fn statements(db: &Db, filter: &StatementFilter<'_>) -> Read<Vec<Statement>> {
    let mut text = format!("SELECT {STATEMENT} FROM shadow_statements WHERE number > $1");
    let mut args: Vec<&str> = Vec::new();
    for (column, value) in [
        ("account_id", filter.account),
        ("currency", filter.currency),
    ] {
        if let Some(value) = value {
            args.push(value);
            text.push_str(&format!(" AND {column} = ${}", args.len() + 1));
        }
    }
    text.push_str(&format!(" ORDER BY number LIMIT {}", filter.limit));
    let mut wanted = Query::assembled(text).bind(filter.after);
    for arg in args {
        wanted = wanted.bind(arg);
    }
    let rows = db.fetch_all(wanted).await?;
    rows.iter().map(Statement::from_row).collect()
}

/// Which lines a list shows.
#[derive(Debug, Clone, Default)]
pub struct LineFilter<'a> {
    /// Only of this account.
    pub account: Option<&'a str>,
    /// Only of this statement.
    pub statement: Option<&'a str>,
    /// Only with this status.
    pub status: Option<&'a str>,
    /// Only behind this statement and line.
    pub after: (i64, i64),
    /// Most rows.
    pub limit: usize,
}

/// A page of lines by statement and number.
///
/// # Errors
/// The store's.
pub async fn lines(db: &Db, filter: &LineFilter<'_>) -> Read<Vec<StoredLine>> {
    let mut text = format!(
        "SELECT {LINE} FROM shadow_lines AS l JOIN shadow_statements AS s ON s.number = l.statement
         WHERE (l.statement, l.n) > ($1, $2)"
    );
    let mut args: Vec<&str> = Vec::new();
    for (column, value) in [("s.account_id", filter.account), ("s.id", filter.statement)] {
        if let Some(value) = value {
            args.push(value);
            text.push_str(&format!(" AND {column} = ${}", args.len() + 2));
        }
    }
    text.push_str(match filter.status {
        Some("matched") => " AND NOT l.is_open AND (l.decision IS NULL OR l.decision <> 'ignore')",
        Some("ignored") => " AND NOT l.is_open AND l.decision = 'ignore'",
        Some("ambiguous") => " AND l.is_open AND l.candidates IS NOT NULL",
        Some("unmatched") => " AND l.is_open AND l.candidates IS NULL",
        _ => "",
    });
    text.push_str(&format!(
        " ORDER BY l.statement, l.n LIMIT {}",
        filter.limit
    ));
    let mut wanted = Query::assembled(text)
        .bind(filter.after.0)
        .bind(filter.after.1);
    for arg in args {
        wanted = wanted.bind(arg);
    }
    let rows = db.fetch_all(wanted).await?;
    rows.iter().map(StoredLine::from_row).collect()
}

/// A line by its statement's id and its number.
///
/// # Errors
/// The store's.
pub async fn line(tx: &mut Tx, statement_id: &str, n: i64) -> Read<Option<StoredLine>> {
    let text = format!(
        "SELECT {LINE} FROM shadow_lines AS l JOIN shadow_statements AS s ON s.number = l.statement
         WHERE s.id = $1 AND l.n = $2"
    );
    let row = tx
        .fetch_optional(Query::assembled(text).bind(statement_id).bind(n))
        .await?;
    row.map(|row| StoredLine::from_row(&row)).transpose()
}
