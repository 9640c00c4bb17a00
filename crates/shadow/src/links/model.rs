//! A link and its row.

use florin_ledger::model::Side;
use florin_platform::sql::Row;

use crate::model::{BookId, Direction};
use crate::store::WriteError;

/// Which side of the ledger account the book shows as a credit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Orientation {
    /// A ledger debit is a credit, as the bank's statement shows it.
    Asset,
    /// A ledger credit is a credit.
    Liability,
}

impl Orientation {
    /// The word in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Asset => "asset",
            Self::Liability => "liability",
        }
    }

    /// The orientation of a word.
    pub fn from_word(word: &str) -> Option<Self> {
        match word {
            "asset" => Some(Self::Asset),
            "liability" => Some(Self::Liability),
            _ => None,
        }
    }

    /// How a posting on this side of the account stands in the book.
    pub const fn direction(self, side: Side) -> Direction {
        match (self, side) {
            (Self::Asset, Side::Debit) | (Self::Liability, Side::Credit) => Direction::Credit,
            _ => Direction::Debit,
        }
    }

    /// The side of the account that makes an entry of this direction.
    pub const fn side(self, direction: Direction) -> Side {
        match (self, direction) {
            (Self::Asset, Direction::Credit) | (Self::Liability, Direction::Debit) => Side::Debit,
            _ => Side::Credit,
        }
    }
}

/// A book that shadows an account of our own ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// The book.
    pub book: BookId,
    /// The ledger's account.
    pub ledger_account: String,
    /// Which side is a credit.
    pub orientation: Orientation,
    /// The bank's number of the account, for statements.
    pub account_ref: Option<String>,
    /// `seq` of the last entry that was mirrored.
    pub position: u64,
    /// Who made it.
    pub made_by: String,
    /// When, microseconds.
    pub made_at: i64,
}

/// The columns of a link.
pub const COLUMNS: &str = "account_id, currency, ledger_account, orientation, account_ref,
    position, made_by, made_at";

impl Link {
    /// Reads a row with [`COLUMNS`].
    ///
    /// # Errors
    /// [`WriteError::Store`] or [`WriteError::Damaged`].
    pub fn from_row(row: &Row) -> Result<Self, WriteError> {
        let orientation: String = row.get("orientation")?;
        Ok(Self {
            book: BookId::new(
                row.get::<String>("account_id")?,
                row.get::<String>("currency")?,
            ),
            ledger_account: row.get("ledger_account")?,
            orientation: Orientation::from_word(&orientation)
                .ok_or(WriteError::Damaged("orientation of a link"))?,
            account_ref: row.get("account_ref")?,
            position: row.get::<i64>("position")?.unsigned_abs(),
            made_by: row.get("made_by")?,
            made_at: row.get("made_at")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sides_and_directions_are_inverse() {
        for orientation in [Orientation::Asset, Orientation::Liability] {
            for side in [Side::Debit, Side::Credit] {
                assert_eq!(orientation.side(orientation.direction(side)), side);
            }
            assert_eq!(
                Orientation::from_word(orientation.as_str()),
                Some(orientation)
            );
        }
        assert_eq!(Orientation::Asset.direction(Side::Debit), Direction::Credit);
    }
}
