//! What can be wrong with a profile or a file: where, what, and what to do about it.

use std::fmt;

/// Most wrong rows that are listed; the others are counted.
pub const MAX_LISTED: usize = 50;

/// Why a file is not imported. Nothing of it is used then.
#[derive(Debug, thiserror::Error)]
pub enum CsvError {
    /// The profile contradicts itself or the ledger's grammar.
    #[error("profile: `{setting}`: {problem}")]
    Profile {
        /// The setting, as written in the profile.
        setting: &'static str,
        /// What is wrong and what would be right.
        problem: String,
    },
    /// The input could not be read.
    #[error("the file cannot be read: {0}")]
    Io(#[from] std::io::Error),
    /// Rows are wrong.
    #[error("{0}")]
    Rows(RowErrors),
}

impl CsvError {
    pub(super) fn profile(setting: &'static str, problem: impl Into<String>) -> Self {
        let problem = problem.into();
        Self::Profile { setting, problem }
    }
}

impl From<RowError> for CsvError {
    fn from(error: RowError) -> Self {
        Self::Rows(RowErrors {
            listed: vec![error],
            unlisted: 0,
        })
    }
}

/// One wrong row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowError {
    /// Line of the file on which the row starts, from 1.
    pub line: u64,
    /// The column's name in the header, when one column is to blame.
    pub column: Option<String>,
    /// What is wrong.
    pub problem: String,
    /// What to do about it.
    pub fix: String,
}

impl fmt::Display for RowError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, ", self.line)?;
        if let Some(column) = &self.column {
            write!(f, "column `{column}`: ")?;
        }
        write!(f, "{} (hint: {})", self.problem, self.fix)
    }
}

/// All wrong rows of a file, the first [`MAX_LISTED`] in full.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RowErrors {
    /// In order of the file.
    pub listed: Vec<RowError>,
    /// How many more there are.
    pub unlisted: u64,
}

impl RowErrors {
    pub(super) fn push(&mut self, error: RowError) {
        if self.listed.len() < MAX_LISTED {
            self.listed.push(error);
        } else {
            self.unlisted += 1;
        }
    }
}

impl fmt::Display for RowErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.listed.iter().enumerate() {
            let separator = if index == 0 { "" } else { "\n" };
            write!(f, "{separator}{error}")?;
        }
        if self.unlisted > 0 {
            write!(f, "\nand {} more wrong rows", self.unlisted)?;
        }
        Ok(())
    }
}
