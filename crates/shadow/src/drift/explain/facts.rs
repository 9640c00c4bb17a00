//! What the search looks at: records of one book, given by the caller in key order.

/// Milliseconds of 24 hours: how far `timing` looks for another instant.
pub const DAY_MS: i64 = 86_400_000;

/// An applied entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntryFact {
    /// `eventId`.
    pub id: String,
    /// Event time, epoch ms.
    pub at: i64,
    /// Signed minor units; a credit is positive.
    pub amount: i128,
    /// Balance of the book after this entry, in minor units.
    pub running: i128,
    /// Reference as recorded.
    pub reference: Option<String>,
    /// An applied (or, for a net difference, a pending) correction names it as its cause, or it
    /// is such a correction's counterpart: it explains nothing any more.
    pub settled: bool,
}

/// Where an event stands that does not count in the balance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Unapplied {
    /// `held`, not final.
    Held,
    /// `held_for_review`.
    Review,
    /// `rejected`.
    Rejected,
    /// A parked dead letter whose bytes name this book, a type and an amount.
    DeadLetter,
}

/// An event that was recorded, or parked, but is no entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnappliedFact {
    /// `eventId`; of a dead letter the one in its bytes.
    pub id: String,
    /// Event time, epoch ms.
    pub at: i64,
    /// Signed minor units.
    pub amount: i128,
    /// Reference as recorded.
    pub reference: Option<String>,
    /// Where it stands.
    pub state: Unapplied,
}

/// A line of a bank statement of this book.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineFact {
    /// `lineId`.
    pub id: String,
    /// Start of its booking day in the book's zone, epoch ms.
    pub at: i64,
    /// Signed minor units.
    pub amount: i128,
    /// All its references.
    pub references: Vec<String>,
    /// Status `unmatched`, and free for matching.
    pub open: bool,
    /// From a statement whose opening, lines and closing agree.
    pub proven: bool,
}

/// The records of one book within the look-back.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BookFacts {
    /// Key order; up to 24 h beyond `asOf`.
    pub entries: Vec<EntryFact>,
    /// Key order.
    pub unapplied: Vec<UnappliedFact>,
    /// By booking day, then id.
    pub lines: Vec<LineFact>,
    /// There were more records than the caller was ready to read.
    pub truncated: bool,
}

/// Another book of the same check and currency whose difference is exactly the opposite.
#[derive(Debug, Clone, Copy)]
pub struct Neighbour<'a> {
    /// Its account.
    pub account: &'a str,
    /// Its records.
    pub facts: &'a BookFacts,
}

/// One difference to be explained.
#[derive(Debug, Clone, Copy)]
pub struct Case<'a> {
    /// The instant of the comparison, epoch ms: `asOf`, or now.
    pub anchor: i64,
    /// Records after this instant do not count in the shadow balance: `asOf`, or `i64::MAX`.
    pub until: i64,
    /// Shadow balance, minor units.
    pub shadow: i128,
    /// The difference d = reported − shadow, not zero.
    pub difference: i128,
    /// Look-back in milliseconds.
    pub look_back_ms: i64,
    /// Largest subset that is tried, 2 to 6.
    pub max_subset: usize,
    /// The book.
    pub book: &'a BookFacts,
    /// Candidates of `wrong_account`, by account id.
    pub neighbours: &'a [Neighbour<'a>],
    /// More neighbours exist than were given.
    pub neighbours_truncated: bool,
}

impl Case<'_> {
    /// Whether a record of this time counts in the balance and lies within the look-back.
    pub fn within(&self, at: i64) -> bool {
        at <= self.until && at >= self.anchor.saturating_sub(self.look_back_ms)
    }
}

/// A reference as it is compared: upper case, without blanks; empty ones do not count.
pub fn normal(reference: &str) -> Option<String> {
    let text: String = reference
        .chars()
        .filter(|c| !c.is_whitespace())
        .flat_map(char::to_uppercase)
        .collect();
    (!text.is_empty()).then_some(text)
}

/// How the reference of one record stands to those of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sameness {
    /// At least one in common.
    Equal,
    /// One side has none.
    Unknown,
    /// Both have some, none in common.
    Different,
}

/// Compares one reference with a list of them.
pub fn compare(one: Option<&str>, many: &[String]) -> Sameness {
    let one = one.and_then(normal);
    let mut some = false;
    for other in many.iter().filter_map(|text| normal(text)) {
        some = true;
        if one.as_deref() == Some(other.as_str()) {
            return Sameness::Equal;
        }
    }
    match one {
        Some(_) if some => Sameness::Different,
        _ => Sameness::Unknown,
    }
}

/// Compares the references of two events.
pub fn compare_two(one: Option<&str>, other: Option<&str>) -> Sameness {
    match (one.and_then(normal), other.and_then(normal)) {
        (Some(a), Some(b)) if a == b => Sameness::Equal,
        (Some(_), Some(_)) => Sameness::Different,
        _ => Sameness::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_compared_without_case_and_blanks() {
        let lines = ["inv 7".to_owned(), "  ".to_owned()];
        assert_eq!(compare(Some("INV7"), &lines), Sameness::Equal);
        assert_eq!(compare(Some("INV8"), &lines), Sameness::Different);
        assert_eq!(compare(None, &lines), Sameness::Unknown);
        assert_eq!(compare(Some("INV8"), &lines[1..]), Sameness::Unknown);
        assert_eq!(compare_two(Some("a b"), Some("AB")), Sameness::Equal);
        assert_eq!(compare_two(Some(" "), Some("AB")), Sameness::Unknown);
    }
}
