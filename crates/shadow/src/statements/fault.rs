//! What can be wrong with a file or with one statement in it: a closed list of codes.

use std::io;

/// The stable codes of statement imports (contract D1, F3 rows 38–48).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FaultCode {
    /// 400: the bytes are not a whole file of the format.
    StatementUnreadable,
    /// 400: XML with a document type definition or an entity of its own.
    XmlDtdRefused,
    /// 400: bytes outside the character set in force.
    CharsetError,
    /// 413: larger than the limit, packed or unpacked.
    BodyTooLarge,
    /// 400: a CSV without profile, or with one that is not stored.
    ProfileUnknown,
    /// 422: a format that is not read.
    UnsupportedFormat,
    /// 422: another message of the same family.
    UnsupportedMessage,
    /// 422: a version of the message that is not read.
    UnsupportedVersion,
    /// 422: opening and lines do not make the closing, or control totals differ.
    StatementOutOfBalance,
    /// 422: no opening or no closing balance.
    BalanceMissing,
    /// 422: a line of another currency than its statement.
    CurrencyMismatch,
    /// 422: a currency that is not registered.
    CurrencyUnknown,
    /// 422: nobody said which account this reference is.
    AccountUnmapped,
    /// 422: digits other than zero beyond the currency's scale.
    AmountPrecision,
    /// 422: not an amount.
    AmountInvalid,
    /// 422: beyond 10^30 − 1 minor units.
    AmountOutOfRange,
    /// 422: a date that does not exist or is written in another way.
    InvalidDate,
    /// 422: something that only `mode=lenient` accepts.
    DeviationRefused,
    /// 409: the identity is known with other content.
    StatementConflict,
    /// 503: the file could not be read here.
    Io,
}

impl FaultCode {
    /// The code as callers see it.
    pub const fn code(self) -> &'static str {
        match self {
            Self::StatementUnreadable => "statement_unreadable",
            Self::XmlDtdRefused => "xml_dtd_refused",
            Self::CharsetError => "charset_error",
            Self::BodyTooLarge => "body_too_large",
            Self::ProfileUnknown => "profile_unknown",
            Self::UnsupportedFormat => "unsupported_format",
            Self::UnsupportedMessage => "unsupported_message",
            Self::UnsupportedVersion => "unsupported_version",
            Self::StatementOutOfBalance => "statement_out_of_balance",
            Self::BalanceMissing => "balance_missing",
            Self::CurrencyMismatch => "currency_mismatch",
            Self::CurrencyUnknown => "currency_unknown",
            Self::AccountUnmapped => "account_unmapped",
            Self::AmountPrecision => "amount_precision",
            Self::AmountInvalid => "amount_invalid",
            Self::AmountOutOfRange => "amount_out_of_range",
            Self::InvalidDate => "invalid_date",
            Self::DeviationRefused => "deviation_refused",
            Self::StatementConflict => "statement_conflict",
            Self::Io => "store_unavailable",
        }
    }

    /// Its HTTP status.
    pub const fn status(self) -> u16 {
        match self {
            Self::StatementUnreadable
            | Self::XmlDtdRefused
            | Self::CharsetError
            | Self::ProfileUnknown => 400,
            Self::BodyTooLarge => 413,
            Self::StatementConflict => 409,
            Self::Io => 503,
            _ => 422,
        }
    }
}

/// The two sides of a sum that does not hold, in minor units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Figures {
    /// What the file states.
    pub expected: i128,
    /// What its lines make.
    pub found: i128,
    /// Decimals of both.
    pub scale: u8,
}

/// A fault with its place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{}: {detail}", code.code(), line.map(|line| format!(" in line {line}")).unwrap_or_default())]
pub struct StatementFault {
    /// The stable code.
    pub code: FaultCode,
    /// Line of the unpacked file, from 1, where one is known.
    pub line: Option<u64>,
    /// For people.
    pub detail: String,
    /// For sums that do not hold.
    pub figures: Option<Figures>,
}

impl StatementFault {
    /// A fault without a place.
    pub fn new(code: FaultCode, detail: impl Into<String>) -> Self {
        Self {
            code,
            line: None,
            detail: detail.into(),
            figures: None,
        }
    }

    /// Adds the line, unless one is known.
    #[must_use]
    pub fn at(mut self, line: u64) -> Self {
        self.line.get_or_insert(line);
        self
    }

    /// Adds the sums.
    #[must_use]
    pub fn with_figures(mut self, figures: Figures) -> Self {
        self.figures = Some(figures);
        self
    }

    /// A file that is not a whole file of its format.
    pub fn unreadable(line: u64, detail: impl Into<String>) -> Self {
        Self::new(FaultCode::StatementUnreadable, detail).at(line)
    }
}

impl From<io::Error> for StatementFault {
    /// Faults found while reading travel inside [`io::Error`].
    fn from(error: io::Error) -> Self {
        match error.downcast::<Self>() {
            Ok(fault) => fault,
            Err(error) => match error.kind() {
                io::ErrorKind::InvalidInput
                | io::ErrorKind::InvalidData
                | io::ErrorKind::UnexpectedEof => Self::new(
                    FaultCode::StatementUnreadable,
                    format!("not readable: {error}"),
                ),
                _ => Self::new(FaultCode::Io, error.to_string()),
            },
        }
    }
}

impl From<StatementFault> for io::Error {
    fn from(fault: StatementFault) -> Self {
        Self::other(fault)
    }
}
