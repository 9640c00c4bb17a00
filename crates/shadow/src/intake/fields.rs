//! Rules of single fields, and the faults that they name (contract section 0, A1).

/// One fault of a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Name of the field, or empty for the whole.
    pub field: String,
    /// Stable code.
    pub code: &'static str,
    /// For people.
    pub message: String,
}

impl Fault {
    /// A fault of a field.
    pub fn new(field: &str, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            field: field.to_owned(),
            code,
            message: message.into(),
        }
    }
}

/// Lengths of ids.
#[derive(Debug, Clone, Copy)]
pub struct Ids;

impl Ids {
    /// Longest event id.
    pub const EVENT: usize = 128;
    /// Longest account id.
    pub const ACCOUNT: usize = 64;
}

/// Prefixes that only this program gives: nobody may occupy a correction's id in advance.
const RESERVED: [&str; 5] = ["CORR-", "MANUAL-", "REDRIVE-", "REV-", "LED-"];

/// Whether a text is an id of at most `longest` characters (contract section 0).
pub fn is_id(text: &str, longest: usize) -> bool {
    let bytes = text.as_bytes();
    let inside = |b: &u8| b.is_ascii_alphanumeric() || b"._:@+=#-".contains(b);
    bytes.first().is_some_and(u8::is_ascii_alphanumeric)
        && bytes.len() <= longest
        && bytes.iter().all(inside)
}

/// Whether an id has a prefix of ours.
pub fn is_reserved(id: &str) -> bool {
    RESERVED.iter().any(|prefix| id.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_10_and_11_have_their_codes() {
        for good in ["E1", "a", "9._:@+=#-", &"x".repeat(128)] {
            assert!(is_id(good, Ids::EVENT), "{good}");
        }
        for bad in ["", " ", "a b", "a/b", "-a", "é", &"x".repeat(129), "a\n"] {
            assert!(!is_id(bad, Ids::EVENT), "{bad}");
        }
        assert!(is_reserved("CORR-A1-1") && is_reserved("LED-1"));
        assert!(!is_reserved("CORR1"));
    }
}
