//! What a check is asked: accounts with reported balances, and the policy that may tighten
//! (contract C1). Reading only; nothing here knows what is stored.

mod account;
mod policy;
mod request;

#[cfg(test)]
mod tests;

use serde_json::value::RawValue;

pub use account::{Draft, Item, draft, item};
pub use policy::{Asked, AskedTolerance, policy_of};
pub use request::{MAX_ACCOUNTS, Request, request};

/// Longest `accountId`, in bytes.
const ID_MAX: usize = 64;
/// Longest `statementId` and `checkId`, in bytes.
const NAME_MAX: usize = 128;

/// One thing that is wrong with the input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Path of the field, such as `accounts[3].reportedBalance`.
    pub field: String,
    /// Stable code.
    pub code: &'static str,
    /// For people.
    pub message: String,
}

impl Fault {
    /// A fault of this field.
    pub fn new(field: impl Into<String>, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            field: field.into(),
            code,
            message: message.into(),
        }
    }
}

/// A value as it was written.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Given {
    /// Missing or null.
    #[default]
    Absent,
    /// A JSON number, as text.
    Number(String),
    /// A JSON string, or a field of a CSV row.
    Text(String),
    /// A cell of a CSV row or a query parameter: number or text.
    Bare(String),
    /// A boolean, a list or an object.
    Other,
}

impl Given {
    pub(super) fn of(raw: Option<&RawValue>) -> Self {
        let Some(raw) = raw else { return Self::Absent };
        let text = raw.get();
        match text.as_bytes().first() {
            Some(b'"') => serde_json::from_str(text).map_or(Self::Other, Self::Text),
            Some(b'-' | b'0'..=b'9') => Self::Number(text.to_owned()),
            Some(b'n') => Self::Absent,
            _ => Self::Other,
        }
    }

    /// A cell; an empty one is absent.
    pub fn cell(text: &str) -> Self {
        match text.is_empty() {
            true => Self::Absent,
            false => Self::Bare(text.to_owned()),
        }
    }

    pub(super) fn words(&self) -> Option<&str> {
        match self {
            Self::Text(text) | Self::Bare(text) => Some(text),
            _ => None,
        }
    }
}

/// Turns a reader's complaint into a code of the contract (rows 1 to 3).
pub fn json_fault(error: &serde_json::Error, place: &str) -> Fault {
    let text = error.to_string();
    let named = |prefix: &str| {
        let rest = text.strip_prefix(prefix)?;
        let name = rest.split('`').nth(1)?;
        Some(join(place, name))
    };
    if let Some(field) = named("unknown field ") {
        return Fault::new(field, "unknown_field", "This field is not known here.");
    }
    if let Some(field) = named("duplicate field ") {
        return Fault::new(field, "duplicate_field", "The field is given twice.");
    }
    let message = "The body is not the JSON that this route takes.";
    Fault::new(place, "malformed_json", message)
}

fn join(place: &str, name: &str) -> String {
    match place {
        "" => name.to_owned(),
        place => format!("{place}.{name}"),
    }
}

/// Whether an `accountId` is well formed (contract section 0).
pub fn account_ok(id: &str) -> bool {
    (1..=ID_MAX).contains(&id.len()) && id_letters(id)
}

/// Whether a `checkId`, `statementId` or `eventId` is well formed.
pub fn name_ok(id: &str) -> bool {
    (1..=NAME_MAX).contains(&id.len()) && id_letters(id)
}

fn id_letters(id: &str) -> bool {
    let letter = |b: u8| b.is_ascii_alphanumeric() || b"._:@+=#-".contains(&b);
    id.as_bytes().first().is_some_and(u8::is_ascii_alphanumeric) && id.bytes().all(letter)
}
