//! The tables of monitors and alerts.

use florin_platform::sql::{Db, Query, Row, Tx, query};
use serde_json::Value;

use super::rules::{Accounts, Kind, Memory, Monitor, Severity};
use crate::drift::table::number;
use crate::drift::tolerance::Tolerance;
use crate::store::WriteError;

const COLUMNS: &str = "name, kind, accounts, currency, every_seconds, absolute, percent,
    sustain_seconds, severity, set_by, looked_at, cursor";

/// A monitor with what it remembers of its last look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// The monitor.
    pub monitor: Monitor,
    /// When it last looked, microseconds.
    pub looked_at: Option<i64>,
    /// Where a rolling look goes on.
    pub cursor: Option<String>,
}

fn kept(row: &Row) -> Result<Kept, WriteError> {
    let damaged = || WriteError::Damaged("monitor");
    let accounts: String = row.get("accounts")?;
    let percent: Option<i64> = row.get("percent")?;
    Ok(Kept {
        monitor: Monitor {
            name: row.get("name")?,
            kind: Kind::from_word(&row.get::<String>("kind")?).ok_or_else(damaged)?,
            accounts: Accounts(serde_json::from_str(&accounts).map_err(|_| damaged())?),
            currency: row.get("currency")?,
            every_seconds: row.get("every_seconds")?,
            threshold: Tolerance {
                absolute: number(&row.get::<String>("absolute")?)?,
                percent: percent.and_then(|parts| u32::try_from(parts).ok()),
            },
            sustain_seconds: row.get("sustain_seconds")?,
            severity: Severity::from_word(&row.get::<String>("severity")?).ok_or_else(damaged)?,
            set_by: row.get("set_by")?,
        },
        looked_at: row.get("looked_at")?,
        cursor: row.get("cursor")?,
    })
}

/// All monitors, by name.
///
/// # Errors
/// [`WriteError::Store`] or [`WriteError::Damaged`].
pub async fn all(db: &Db) -> Result<Vec<Kept>, WriteError> {
    let text = format!("SELECT {COLUMNS} FROM shadow_monitors ORDER BY name");
    let rows = db.fetch_all(Query::assembled(text)).await?;
    rows.iter().map(kept).collect()
}

/// One monitor.
///
/// # Errors
/// [`WriteError::Store`] or [`WriteError::Damaged`].
pub async fn find(db: &Db, name: &str) -> Result<Option<Kept>, WriteError> {
    let text = format!("SELECT {COLUMNS} FROM shadow_monitors WHERE name = $1");
    let row = db.fetch_optional(Query::assembled(text).bind(name)).await?;
    row.as_ref().map(kept).transpose()
}

/// Sets a monitor up, or anew.
///
/// # Errors
/// As [`Tx::execute`].
pub async fn put(tx: &mut Tx, monitor: &Monitor, now: i64) -> Result<(), WriteError> {
    let accounts = serde_json::to_string(&monitor.accounts.0)
        .map_err(|_| WriteError::Damaged("accounts of a monitor"))?;
    let text = "INSERT INTO shadow_monitors (name, kind, accounts, currency, every_seconds,
            absolute, percent, sustain_seconds, severity, set_by, set_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
        ON CONFLICT (name) DO UPDATE SET kind = excluded.kind, accounts = excluded.accounts,
            currency = excluded.currency, every_seconds = excluded.every_seconds,
            absolute = excluded.absolute, percent = excluded.percent,
            sustain_seconds = excluded.sustain_seconds, severity = excluded.severity,
            set_by = excluded.set_by, set_at = excluded.set_at, looked_at = NULL, cursor = NULL";
    let row = query(text)
        .bind(&monitor.name)
        .bind(monitor.kind.as_str())
        .bind(accounts)
        .bind(monitor.currency.clone())
        .bind(monitor.every_seconds)
        .bind(monitor.threshold.absolute.to_string())
        .bind(monitor.threshold.percent)
        .bind(monitor.sustain_seconds)
        .bind(monitor.severity.as_str())
        .bind(&monitor.set_by)
        .bind(now);
    tx.execute(row).await?;
    Ok(())
}

/// What a monitor remembers of one book.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remembered {
    /// Account, or what stands in its place.
    pub account: String,
    /// Currency, or empty.
    pub currency: String,
    /// Since when, and whether an alert is open.
    pub memory: Memory,
    /// The open alert.
    pub alert: Option<String>,
}

/// Everything that a monitor remembers.
///
/// # Errors
/// [`WriteError::Store`].
pub async fn memory(tx: &mut Tx, monitor: &str) -> Result<Vec<Remembered>, WriteError> {
    let text = "SELECT account_id, currency, since, alert_id FROM shadow_monitor_memory
        WHERE monitor = $1 ORDER BY account_id, currency";
    let rows = tx.fetch_all(query(text).bind(monitor)).await?;
    rows.iter()
        .map(|row| {
            let alert: Option<String> = row.get("alert_id")?;
            Ok(Remembered {
                account: row.get("account_id")?,
                currency: row.get("currency")?,
                memory: Memory {
                    since: Some(row.get("since")?),
                    alerted: alert.is_some(),
                },
                alert,
            })
        })
        .collect()
}

/// Remembers what stands about a book; nothing wrong is no row.
///
/// # Errors
/// As [`Tx::execute`].
pub async fn remember(
    tx: &mut Tx,
    monitor: &str,
    remembered: &Remembered,
) -> Result<(), WriteError> {
    let (account, currency) = (&remembered.account, &remembered.currency);
    let statement = match remembered.memory.since {
        None => query(
            "DELETE FROM shadow_monitor_memory
             WHERE monitor = $1 AND account_id = $2 AND currency = $3",
        )
        .bind(monitor)
        .bind(account)
        .bind(currency),
        Some(since) => query(
            "INSERT INTO shadow_monitor_memory (monitor, account_id, currency, since, alert_id)
             VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (monitor, account_id, currency)
             DO UPDATE SET since = excluded.since, alert_id = excluded.alert_id",
        )
        .bind(monitor)
        .bind(account)
        .bind(currency)
        .bind(since)
        .bind(remembered.alert.clone()),
    };
    tx.execute(statement).await?;
    Ok(())
}

/// An alert.
#[derive(Debug, Clone, PartialEq)]
pub struct Alert {
    /// Its id.
    pub id: String,
    /// The monitor.
    pub monitor: String,
    /// Its kind.
    pub kind: String,
    /// How loud.
    pub severity: String,
    /// Account, where there is one.
    pub account: Option<String>,
    /// Currency, where there is one.
    pub currency: Option<String>,
    /// `open`, `acknowledged` or `cleared`.
    pub state: String,
    /// Figures and evidence.
    pub figures: Value,
    /// Microseconds.
    pub raised_at: i64,
    /// Microseconds.
    pub acknowledged_at: Option<i64>,
    /// Who.
    pub acknowledged_by: Option<String>,
    /// Microseconds.
    pub cleared_at: Option<i64>,
    /// The record that raised it.
    pub made_seq: i64,
}

/// The columns of an alert.
pub const ALERT: &str = "id, monitor, kind, severity, account_id, currency, state, figures,
    raised_at, acknowledged_at, acknowledged_by, cleared_at, made_seq";

impl Alert {
    /// Reads a row with [`ALERT`].
    ///
    /// # Errors
    /// [`WriteError::Store`].
    pub fn from_row(row: &Row) -> Result<Self, WriteError> {
        let figures: String = row.get("figures")?;
        Ok(Self {
            id: row.get("id")?,
            monitor: row.get("monitor")?,
            kind: row.get("kind")?,
            severity: row.get("severity")?,
            account: row.get("account_id")?,
            currency: row.get("currency")?,
            state: row.get("state")?,
            figures: serde_json::from_str(&figures).unwrap_or_default(),
            raised_at: row.get("raised_at")?,
            acknowledged_at: row.get("acknowledged_at")?,
            acknowledged_by: row.get("acknowledged_by")?,
            cleared_at: row.get("cleared_at")?,
            made_seq: row.get("made_seq")?,
        })
    }

    /// Puts a new row in.
    ///
    /// # Errors
    /// As [`Tx::execute`].
    pub async fn insert(&self, tx: &mut Tx) -> Result<(), WriteError> {
        let text = "INSERT INTO shadow_alerts (id, monitor, kind, severity, account_id, currency,
            state, figures, raised_at, made_seq)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
        let row = query(text)
            .bind(&self.id)
            .bind(&self.monitor)
            .bind(&self.kind)
            .bind(&self.severity)
            .bind(self.account.clone())
            .bind(self.currency.clone())
            .bind(&self.state)
            .bind(self.figures.to_string())
            .bind(self.raised_at)
            .bind(self.made_seq);
        tx.execute(row).await?;
        Ok(())
    }
}

/// One alert.
///
/// # Errors
/// [`WriteError::Store`].
pub async fn alert(tx: &mut Tx, id: &str) -> Result<Option<Alert>, WriteError> {
    let text = format!("SELECT {ALERT} FROM shadow_alerts WHERE id = $1");
    let row = tx.fetch_optional(Query::assembled(text).bind(id)).await?;
    row.as_ref().map(Alert::from_row).transpose()
}

/// An alert, outside a transaction.
///
/// # Errors
/// As [`Db::fetch_optional`].
pub async fn find_alert(db: &Db, id: &str) -> Result<Option<Alert>, WriteError> {
    let text = format!("SELECT {ALERT} FROM shadow_alerts WHERE id = $1");
    let row = db.fetch_optional(Query::assembled(text).bind(id)).await?;
    row.as_ref().map(Alert::from_row).transpose()
}
