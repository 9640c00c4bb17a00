//! The accounts of a check that differ: one row each, with what explains them.

use florin_platform::sql::{Arg, Db, Query, Row, Tx, query};
use serde::{Deserialize, Serialize};

use super::decide::{Action, Mismatch};
use super::explain::{Basis, Class, Explanation, Solution};
use super::table::number;
use crate::model::BookId;
use crate::store::WriteError;

/// A solution as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptSolution {
    /// Class.
    pub class: String,
    /// `record` or `pattern`.
    pub basis: String,
    /// Event ids.
    pub events: Vec<String>,
    /// Line ids.
    pub lines: Vec<String>,
    /// Signed minor units that sum to the difference.
    pub terms: Vec<String>,
}

impl From<&Solution> for KeptSolution {
    fn from(solution: &Solution) -> Self {
        Self {
            class: solution.class.as_str().to_owned(),
            basis: solution.basis.as_str().to_owned(),
            events: solution.events.clone(),
            lines: solution.lines.clone(),
            terms: solution.terms.iter().map(i128::to_string).collect(),
        }
    }
}

/// An explanation as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Kept {
    /// The first solution.
    pub solution: Option<KeptSolution>,
    /// Solutions − 1.
    pub rivals: u32,
    /// A bound ended the search.
    pub bounded: bool,
    /// Further solutions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub others: Vec<KeptSolution>,
    /// Solutions by arithmetic beside one by record.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pattern_rivals: Vec<KeptSolution>,
}

impl From<&Explanation> for Kept {
    fn from(found: &Explanation) -> Self {
        let kept = |all: &[Solution]| all.iter().map(KeptSolution::from).collect();
        Self {
            solution: found.solution.as_ref().map(KeptSolution::from),
            rivals: found.rivals,
            bounded: found.bounded,
            others: kept(&found.others),
            pattern_rivals: kept(&found.pattern_rivals),
        }
    }
}

/// One account that differs, or that differed when it was compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Place in the check.
    pub n: i64,
    /// Its book.
    pub book: BookId,
    /// Epoch ms.
    pub as_of: Option<i64>,
    /// The statement named.
    pub statement: Option<String>,
    /// Minor units.
    pub reported: i128,
    /// Minor units.
    pub shadow: i128,
    /// Minor units of open corrections.
    pub pending: i128,
    /// Within tolerance.
    pub tolerated: bool,
    /// Has recorded events.
    pub known: bool,
    /// Mirrors an account of our own ledger.
    pub linked: bool,
    /// Newest record when it was compared.
    pub log_seq: i64,
    /// Coarse class.
    pub mismatch: Mismatch,
    /// What explains it.
    pub explanation: Option<Kept>,
    /// What was done.
    pub action: Option<Action>,
    /// The correction that covers it.
    pub correction: Option<(String, String)>,
}

const COLUMNS: &str = "n, account_id, currency, as_of, statement_id, reported, shadow, difference,
    pending, tolerated, known, linked, log_seq, mismatch_type, class, explanation, action,
    correction_id, correction_status, settled";

const INSERT: &str = "INSERT INTO shadow_drift_found (check_id, n, account_id, currency, as_of,
    statement_id, reported, shadow, difference, pending, tolerated, known, linked, log_seq,
    mismatch_type, settled)";

impl Found {
    /// reported − shadow, minor units.
    pub const fn difference(&self) -> i128 {
        self.reported - self.shadow
    }

    /// The class of its explanation.
    pub fn class(&self) -> Class {
        let solution = self
            .explanation
            .as_ref()
            .and_then(|kept| kept.solution.as_ref());
        let class = solution.and_then(|solution| Class::parse(&solution.class));
        class.unwrap_or(Class::Unexplained)
    }

    /// The basis of its explanation.
    pub fn basis(&self) -> Option<Basis> {
        let kept = self.explanation.as_ref()?.solution.as_ref()?;
        [Basis::Record, Basis::Pattern]
            .into_iter()
            .find(|basis| basis.as_str() == kept.basis)
    }

    /// Reads a row.
    ///
    /// # Errors
    /// [`WriteError::Store`] or [`WriteError::Damaged`].
    pub fn from_row(row: &Row) -> Result<Self, WriteError> {
        let damaged = || WriteError::Damaged("result of a check");
        let explanation: Option<String> = row.get("explanation")?;
        let action: Option<String> = row.get("action")?;
        let correction: Option<String> = row.get("correction_id")?;
        let status: Option<String> = row.get("correction_status")?;
        Ok(Self {
            n: row.get("n")?,
            book: BookId::new(
                row.get::<String>("account_id")?,
                row.get::<String>("currency")?,
            ),
            as_of: row.get("as_of")?,
            statement: row.get("statement_id")?,
            reported: number(&row.get::<String>("reported")?)?,
            shadow: number(&row.get::<String>("shadow")?)?,
            pending: number(&row.get::<String>("pending")?)?,
            tolerated: row.get("tolerated")?,
            known: row.get("known")?,
            linked: row.get("linked")?,
            log_seq: row.get("log_seq")?,
            mismatch: Mismatch::from_word(&row.get::<String>("mismatch_type")?)
                .ok_or_else(damaged)?,
            explanation: match explanation {
                None => None,
                Some(text) => Some(serde_json::from_str(&text).map_err(|_| damaged())?),
            },
            action: match action {
                None => None,
                Some(word) => Some(Action::from_word(&word).ok_or_else(damaged)?),
            },
            correction: correction.zip(status),
        })
    }

    fn args(&self, check: &str) -> Vec<Arg> {
        vec![
            check.into(),
            self.n.into(),
            (&self.book.account_id).into(),
            (&self.book.currency).into(),
            self.as_of.into(),
            self.statement.clone().into(),
            self.reported.to_string().into(),
            self.shadow.to_string().into(),
            self.difference().to_string().into(),
            self.pending.to_string().into(),
            self.tolerated.into(),
            self.known.into(),
            self.linked.into(),
            self.log_seq.into(),
            self.mismatch.as_str().into(),
            false.into(),
        ]
    }
}

/// Puts new ones in, not yet explained.
///
/// # Errors
/// As [`Tx::execute`].
pub async fn insert(
    session: &mut crate::store::Session,
    check: &str,
    found: &[Found],
) -> Result<(), WriteError> {
    let rows = found.iter().map(|found| found.args(check)).collect();
    session.insert_many(INSERT, "", rows).await?;
    Ok(())
}

/// Stores what was found out about one.
///
/// # Errors
/// As [`Tx::execute`].
pub async fn settle(tx: &mut Tx, check: &str, found: &Found) -> Result<(), WriteError> {
    let text = "UPDATE shadow_drift_found SET shadow = $3, difference = $4, pending = $5,
        tolerated = $6, known = $7, log_seq = $8, mismatch_type = $9, class = $10,
        explanation = $11, action = $12, correction_id = $13, correction_status = $14,
        settled = TRUE WHERE check_id = $1 AND n = $2";
    let explanation = found
        .explanation
        .as_ref()
        .map(serde_json::to_string)
        .transpose()
        .map_err(|_| WriteError::Damaged("explanation"))?;
    let (id, status) = found.correction.clone().unzip();
    let class = found.explanation.as_ref().map(|_| found.class().as_str());
    let statement = query(text)
        .bind(check)
        .bind(found.n)
        .bind(found.shadow.to_string())
        .bind(found.difference().to_string())
        .bind(found.pending.to_string())
        .bind(found.tolerated)
        .bind(found.known)
        .bind(found.log_seq)
        .bind(found.mismatch.as_str())
        .bind(class)
        .bind(explanation)
        .bind(found.action.map(Action::as_str))
        .bind(id)
        .bind(status);
    tx.execute(statement).await?;
    Ok(())
}

/// Those not yet explained, in input order.
///
/// # Errors
/// [`WriteError::Store`] or [`WriteError::Damaged`].
pub async fn unsettled(db: &Db, check: &str, limit: i64) -> Result<Vec<Found>, WriteError> {
    let text = format!(
        "SELECT {COLUMNS} FROM shadow_drift_found WHERE check_id = $1 AND NOT settled
         ORDER BY n LIMIT $2"
    );
    let rows = db
        .fetch_all(Query::assembled(text).bind(check).bind(limit))
        .await?;
    rows.iter().map(Found::from_row).collect()
}

/// Those of a run of places, in order.
///
/// # Errors
/// [`WriteError::Store`] or [`WriteError::Damaged`].
pub async fn between(db: &Db, check: &str, from: i64, to: i64) -> Result<Vec<Found>, WriteError> {
    let text = format!(
        "SELECT {COLUMNS} FROM shadow_drift_found WHERE check_id = $1 AND n >= $2 AND n < $3
         ORDER BY n"
    );
    let statement = Query::assembled(text).bind(check).bind(from).bind(to);
    let rows = db.fetch_all(statement).await?;
    rows.iter().map(Found::from_row).collect()
}

/// Books of a check with exactly the opposite difference, by account.
///
/// # Errors
/// [`WriteError::Store`] or [`WriteError::Damaged`].
pub async fn opposite(
    db: &Db,
    check: &str,
    of: &Found,
    limit: i64,
) -> Result<Vec<Found>, WriteError> {
    let Some(wanted) = of.difference().checked_neg() else {
        return Ok(Vec::new());
    };
    let text = format!(
        "SELECT {COLUMNS} FROM shadow_drift_found WHERE check_id = $1 AND currency = $2
         AND difference = $3 AND account_id <> $4 ORDER BY account_id LIMIT $5"
    );
    let statement = Query::assembled(text)
        .bind(check)
        .bind(&of.book.currency)
        .bind(wanted.to_string())
        .bind(&of.book.account_id)
        .bind(limit);
    let rows = db.fetch_all(statement).await?;
    rows.iter().map(Found::from_row).collect()
}
