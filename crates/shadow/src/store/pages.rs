//! Many rows as one value: the drivers hand rows over one value at a time, which takes longer than
//! the database's reading of them.

use florin_platform::sql::{Query, Row};
use serde::de::DeserializeOwned;

use super::error::WriteError;

/// A statement whose only value is a JSON array of the rows that `rows` selects as `r`, each an
/// array of `columns`. [`read`] reads it.
pub(super) fn select(is_shared: bool, columns: &str, rows: &str) -> Query {
    let (all, one) = match is_shared {
        true => ("json_agg", "json_build_array"),
        false => ("json_group_array", "json_array"),
    };
    let text = format!("SELECT CAST({all}({one}({columns})) AS TEXT) AS page FROM ({rows}) AS r");
    Query::assembled(text)
}

/// The rows of [`select`]. The order of `rows` is that in which both databases hand them to the
/// aggregate, which neither promises: whoever needs it looks.
///
/// # Errors
/// [`WriteError::Store`]; [`WriteError::Damaged`] for a column that is of another type.
pub(super) fn read<T: DeserializeOwned>(
    row: Option<Row>,
    what: &'static str,
) -> Result<Vec<T>, WriteError> {
    let page: Option<String> = match row {
        Some(row) => row.get("page")?,
        None => None,
    };
    let Some(page) = page else {
        return Ok(Vec::new());
    };
    serde_json::from_str(&page).map_err(|_| WriteError::Damaged(what))
}
