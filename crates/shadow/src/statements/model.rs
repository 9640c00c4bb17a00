//! The one integer model that all formats become (contract D1, "one model").

use serde::{Deserialize, Serialize};

use super::day::Day;
use super::fault::StatementFault;

/// Most characters of a kept text.
pub const TEXT_MAX: usize = 2_000;
/// Most characters of a kept reference, name or account.
pub const REFERENCE_MAX: usize = 140;
/// Most details that are kept of one line.
pub const DETAILS_MAX: usize = 10_000;

/// A format that is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// ISO 20022 camt.053.001 .02 .04 .08.
    Camt053,
    /// SWIFT MT940, with or without envelope.
    Mt940,
    /// CSV through a profile.
    Csv,
    /// BAI2 cash management balance reporting.
    Bai2,
    /// OFX 1 (SGML) and 2 (XML).
    Ofx,
}

impl Format {
    /// All formats.
    pub const ALL: [Self; 5] = [Self::Camt053, Self::Mt940, Self::Csv, Self::Bai2, Self::Ofx];

    /// The word in the query and in metrics.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Camt053 => "camt053",
            Self::Mt940 => "mt940",
            Self::Csv => "csv",
            Self::Bai2 => "bai2",
            Self::Ofx => "ofx",
        }
    }

    /// The format for a word; `camt.053` is taken too.
    pub fn from_word(word: &str) -> Option<Self> {
        match word {
            "camt.053" => Some(Self::Camt053),
            _ => Self::ALL.into_iter().find(|format| format.word() == word),
        }
    }
}

/// What only `mode=lenient` accepts. A closed list; each use is named in `deviations[]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Deviation {
    /// Bytes that are not UTF-8 are read as windows-1252 (all formats but CSV, whose profile
    /// names the encoding).
    CharsetFallback,
    /// MT940: a field that the message does not know is passed over.
    UnknownField,
    /// MT940: a point instead of the decimal comma.
    DecimalPoint,
    /// MT940: an amount without the decimal comma.
    DecimalCommaMissing,
    /// OFX: a comma instead of the decimal point.
    DecimalComma,
    /// camt: an entry without booking date counts at its value date.
    BookingDateMissing,
    /// camt: an entry without status counts as booked.
    StatusMissing,
    /// BAI2: a record without the `/` at its end.
    TerminatorMissing,
    /// BAI2: a count of records that is not the one stated.
    RecordCountDiffers,
}

impl Deviation {
    /// The word in `deviations[]`.
    pub const fn word(self) -> &'static str {
        match self {
            Self::CharsetFallback => "charset_fallback",
            Self::UnknownField => "unknown_field",
            Self::DecimalPoint => "decimal_point",
            Self::DecimalCommaMissing => "decimal_comma_missing",
            Self::DecimalComma => "decimal_comma",
            Self::BookingDateMissing => "booking_date_missing",
            Self::StatusMissing => "status_missing",
            Self::TerminatorMissing => "terminator_missing",
            Self::RecordCountDiffers => "record_count_differs",
        }
    }
}

/// What is worth knowing and refuses nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Warning {
    /// The details of an entry have another sum than the entry (contract D1, camt).
    DetailSumDiffers,
    /// Pending entries were counted and left out.
    PendingLeftOut,
    /// Information entries were counted and left out.
    InformationLeftOut,
}

impl Warning {
    /// The word in `warnings[]`.
    pub const fn word(self) -> &'static str {
        match self {
            Self::DetailSumDiffers => "detail_sum_differs",
            Self::PendingLeftOut => "pending_left_out",
            Self::InformationLeftOut => "information_left_out",
        }
    }
}

/// A balance at the start or end of a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Balance {
    /// Signed minor units.
    pub amount: i128,
    /// The day it is of.
    pub day: Day,
    /// Between two pages of one statement (`INTM`, 60M, 62M).
    #[serde(default)]
    pub intermediate: bool,
}

/// What is known when a statement begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The bank's own id of the statement.
    pub bank_statement_id: String,
    /// The bank's running number.
    pub sequence: Option<u64>,
    /// Page of a statement that comes in several.
    pub page: Option<u64>,
    /// IBAN or other number of the account, as the bank writes it, without blanks.
    pub account_ref: String,
    /// Currency of balances and lines.
    pub currency: String,
    /// Decimals of the currency.
    pub scale: u8,
}

/// What is known when it ends.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tail {
    /// The id, where it is known only now (CSV: made of the content).
    pub bank_statement_id: Option<String>,
    /// Balance before the first line.
    pub opening: Option<Balance>,
    /// Balance after the last one.
    pub closing: Option<Balance>,
    /// Pending lines, left out.
    pub pending: u64,
    /// Information lines, left out.
    pub information: u64,
    /// The opening is not part of the format: the closing before it is taken (OFX).
    pub opening_from_previous: bool,
    /// Named deviations, sorted.
    pub deviations: Vec<Deviation>,
    /// Named warnings, sorted.
    pub warnings: Vec<Warning>,
}

/// References of a line; what the bank leaves out or fills with a placeholder is `None`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct References {
    /// The payer's, carried through to the payee.
    pub end_to_end_id: Option<Box<str>>,
    /// The first bank's.
    pub transaction_id: Option<Box<str>>,
    /// The account servicer's.
    pub servicer_ref: Option<Box<str>>,
    /// The account owner's.
    pub customer_ref: Option<Box<str>>,
    /// The bank's number of the entry.
    pub bank_ref: Option<Box<str>>,
}

impl References {
    /// Those given, in the order of the fields.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        [
            &self.end_to_end_id,
            &self.transaction_id,
            &self.servicer_ref,
            &self.customer_ref,
            &self.bank_ref,
        ]
        .into_iter()
        .filter_map(|reference| reference.as_deref())
    }
}

/// Who stands on the other side.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Counterparty {
    /// Name.
    pub name: Option<Box<str>>,
    /// IBAN or other number.
    pub account: Option<Box<str>>,
}

/// The amount before conversion.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Original {
    /// As the bank wrote it.
    pub amount: Box<str>,
    /// Its currency.
    pub currency: Box<str>,
    /// The rate as the bank wrote it.
    pub rate: Option<Box<str>>,
}

/// One of several transactions inside a line.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Detail {
    /// Signed minor units of the line's currency, where the bank gives them.
    pub amount: Option<i128>,
    /// References.
    pub references: References,
    /// Counterparty.
    pub counterparty: Counterparty,
    /// Text.
    pub text: Option<Box<str>>,
}

/// A booked line.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Line {
    /// Day of booking.
    pub booking: Day,
    /// Day from which it earns interest.
    pub value: Option<Day>,
    /// Signed minor units, credit positive.
    pub amount: i128,
    /// The bank calls it a reversal; the sign above already says so.
    pub reversal: bool,
    /// References.
    pub references: References,
    /// Counterparty.
    pub counterparty: Counterparty,
    /// Free text.
    pub text: Option<Box<str>>,
    /// The bank's code of the kind of transaction.
    pub code: Option<Box<str>>,
    /// Charges inside the amount, minor units.
    pub charges: Option<i128>,
    /// Amount before conversion.
    pub original: Option<Original>,
    /// Transactions inside the line.
    pub details: Vec<Detail>,
    /// Line of the file on which it starts.
    pub file_line: u64,
}

/// Where a reader puts what it finds, in the order of the file. A sink may stop the reading by
/// an error, which comes back from the reader.
pub trait Sink {
    /// A statement begins.
    fn open(&mut self, head: Head) -> Result<(), StatementFault>;
    /// A booked line of it.
    fn line(&mut self, line: Line) -> Result<(), StatementFault>;
    /// Something that refuses this statement and not the file. Without an error the reader goes
    /// on with the next line.
    fn fault(&mut self, fault: StatementFault) -> Result<(), StatementFault>;
    /// It ends.
    fn close(&mut self, tail: Tail) -> Result<(), StatementFault>;
}

/// What readers are told.
#[derive(Clone, Copy)]
pub struct Options<'a> {
    /// `mode=lenient`.
    pub lenient: bool,
    /// Decimals of a registered currency.
    pub scale_of: &'a dyn Fn(&str) -> Option<u8>,
}

impl std::fmt::Debug for Options<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Options")
            .field("lenient", &self.lenient)
            .finish_non_exhaustive()
    }
}

/// A text with blanks taken off both ends and control characters as blanks, cut to `most`
/// characters; `None` when nothing is left.
pub fn kept(text: &str, most: usize) -> Option<Box<str>> {
    let text = text.trim();
    if text.is_empty() {
        return None;
    }
    let plain = text.len() <= most && !text.bytes().any(|byte| byte.is_ascii_control());
    if plain {
        return Some(text.into());
    }
    let clean = |letter: char| if letter.is_control() { ' ' } else { letter };
    Some(text.chars().take(most).map(clean).collect())
}

/// A reference: [`kept`], and the words that banks write where there is none are none.
pub fn reference(text: &str) -> Option<Box<str>> {
    const NONE: [&str; 5] = ["NOTPROVIDED", "NOT PROVIDED", "NONREF", "NONE", "NOREF"];
    let text = text.trim();
    if NONE.iter().any(|none| text.eq_ignore_ascii_case(none)) {
        return None;
    }
    kept(text, REFERENCE_MAX)
}

/// A list of deviations or warnings to which each is added once.
pub fn note<T: Ord + Copy>(list: &mut Vec<T>, item: T) {
    if let Err(at) = list.binary_search(&item) {
        list.insert(at, item);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_no_references() {
        assert_eq!(reference(" NotProvided "), None);
        assert_eq!(reference("NONREF"), None);
        assert_eq!(reference("A 1").as_deref(), Some("A 1"));
        assert_eq!(kept("a\u{0}b\n", 10).as_deref(), Some("a b"));
        assert_eq!(kept("ééé", 2).as_deref(), Some("éé"));
    }

    #[test]
    fn notes_stay_sorted_and_single() {
        let mut list = Vec::new();
        note(&mut list, Deviation::StatusMissing);
        note(&mut list, Deviation::CharsetFallback);
        note(&mut list, Deviation::StatusMissing);
        assert_eq!(list, [Deviation::CharsetFallback, Deviation::StatusMissing]);
    }
}
