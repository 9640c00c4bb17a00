//! The shared CSV reader, with its faults as rows of an import.

pub use florin_base::csv::{MAX_FIELDS, MAX_RECORD_BYTES};
pub(super) use florin_base::csv::{ReadError, Reader, Record};

use super::error::{CsvError, RowError};

impl From<ReadError> for CsvError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Io(error) => Self::Io(error),
            ReadError::Structure(place) => RowError {
                line: place.line,
                column: None,
                problem: format!("field {}: {}", place.field, place.problem),
                fix: place.fix.to_owned(),
            }
            .into(),
        }
    }
}
