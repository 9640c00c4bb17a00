//! Columns and the words of the model.

use florin_platform::sql::Row;

use super::error::WriteError;
use crate::model::amount::join;
use crate::model::{Reason, State};

/// A signed amount from the columns `m0`, `m1`, `m2`.
///
/// # Errors
/// [`WriteError::Damaged`] or [`WriteError::Store`].
pub fn money(row: &Row) -> Result<i128, WriteError> {
    let columns = [row.get("m0")?, row.get("m1")?, row.get("m2")?];
    join(columns).ok_or(WriteError::Damaged("amount"))
}

/// A state.
///
/// # Errors
/// [`WriteError::Damaged`] for a word that is none.
pub fn state(word: &str) -> Result<State, WriteError> {
    State::from_word(word).ok_or(WriteError::Damaged("state"))
}

/// A reason, where there is one.
///
/// # Errors
/// [`WriteError::Damaged`] for a word that is none.
pub fn reason(word: Option<String>) -> Result<Option<Reason>, WriteError> {
    word.map(|word| Reason::from_word(&word).ok_or(WriteError::Damaged("reason")))
        .transpose()
}

/// A floor in minor units; `None`: no floor.
///
/// # Errors
/// [`WriteError::Damaged`] for a text that is no number.
pub fn floor(text: Option<String>) -> Result<Option<i128>, WriteError> {
    text.map(|text| text.parse().map_err(|_| WriteError::Damaged("floor")))
        .transpose()
}
