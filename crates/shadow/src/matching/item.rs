//! What is matched and what comes of it. Items are named by their index in the input.

/// Which list an item stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Side {
    /// A statement line.
    Line,
    /// An entry of the shadow.
    Entry,
}

impl Side {
    /// The other one.
    pub const fn other(self) -> Self {
        match self {
            Self::Line => Self::Entry,
            Self::Entry => Self::Line,
        }
    }
}

/// A line or an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// `lineId` or `eventId`.
    pub id: Box<str>,
    /// Day: of booking, or of the event in the book's zone.
    pub day: i32,
    /// Signed minor units.
    pub amount: i128,
    /// References as they are compared ([`normal`]), sorted, each once.
    pub references: Vec<Box<str>>,
    /// Out of automatic matching until a person decides (possible duplicates).
    pub barred: bool,
}

impl Item {
    /// An item; references are brought into the form in which they are compared.
    pub fn new<'a>(
        id: impl Into<Box<str>>,
        day: i32,
        amount: i128,
        references: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        let mut references: Vec<Box<str>> = references.into_iter().filter_map(normal).collect();
        references.sort_unstable();
        references.dedup();
        Self {
            id: id.into(),
            day,
            amount,
            references,
            barred: false,
        }
    }
}

/// A reference as it is compared: upper case, without blanks; `None` for an empty one.
pub fn normal(reference: &str) -> Option<Box<str>> {
    let kept = reference.chars().filter(|letter| !letter.is_whitespace());
    let text: String = kept.flat_map(char::to_uppercase).collect();
    (!text.is_empty()).then(|| text.into_boxed_str())
}

/// Everything that is open when a run begins. A run sorts the lists by day and id.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Input {
    /// Open lines, in any order.
    pub lines: Vec<Item>,
    /// Open entries, in any order.
    pub entries: Vec<Item>,
    /// Events that are not applied: they match nothing and explain why a line stays open.
    pub unapplied: Vec<Item>,
}

impl Input {
    /// The list of a side.
    pub fn side(&self, side: Side) -> &[Item] {
        match side {
            Side::Line => &self.lines,
            Side::Entry => &self.entries,
        }
    }
}

/// The rule that made a match (contract D2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rule {
    /// 1:1 by reference and amount.
    R1,
    /// 1:1 by amount.
    R2,
    /// All items of one reference.
    R3,
    /// Sum of two to five items.
    R4,
    /// By hand.
    Manual,
    /// A correction that was made from the line.
    Correction,
}

impl Rule {
    /// Every rule.
    pub const ALL: [Self; 6] = [
        Self::R1,
        Self::R2,
        Self::R3,
        Self::R4,
        Self::Manual,
        Self::Correction,
    ];

    /// The word in JSON and in tables.
    pub const fn word(self) -> &'static str {
        match self {
            Self::R1 => "R1",
            Self::R2 => "R2",
            Self::R3 => "R3",
            Self::R4 => "R4",
            Self::Manual => "manual",
            Self::Correction => "correction",
        }
    }

    /// The rule of a word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|rule| rule.word() == word)
    }
}

/// Items that belong together; indexes into the input, ascending.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Set {
    /// Lines.
    pub lines: Vec<u32>,
    /// Entries.
    pub entries: Vec<u32>,
}

impl Set {
    /// One line and one entry.
    pub fn pair(line: u32, entry: u32) -> Self {
        Self {
            lines: vec![line],
            entries: vec![entry],
        }
    }

    /// One item of a side and several of the other.
    pub fn one_to_many(side: Side, one: u32, many: Vec<u32>) -> Self {
        match side {
            Side::Line => Self {
                lines: vec![one],
                entries: many,
            },
            Side::Entry => Self {
                lines: many,
                entries: vec![one],
            },
        }
    }

    /// The items of a side.
    pub fn side(&self, side: Side) -> &[u32] {
        match side {
            Side::Line => &self.lines,
            Side::Entry => &self.entries,
        }
    }
}

/// A match that a rule made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Match {
    /// Which rule.
    pub rule: Rule,
    /// What.
    pub set: Set,
    /// One of several equal pairs: which line goes with which entry says nothing.
    pub interchangeable: bool,
}

/// Why an item stays open (contract D2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// Nothing on the other side looks like it.
    NoCandidate,
    /// What looks like it lies too many days away.
    OutsideWindow,
    /// The same reference has another amount.
    AmountDiffers,
    /// What looks like it has the other sign.
    SignDiffers,
    /// The event is recorded and does not count.
    EntryNotApplied,
    /// A row that was met in another statement.
    PossibleDuplicateLine,
    /// A bound ended the search.
    SearchBound,
}

impl Reason {
    /// The word in JSON.
    pub const fn word(self) -> &'static str {
        match self {
            Self::NoCandidate => "no_candidate",
            Self::OutsideWindow => "outside_window",
            Self::AmountDiffers => "amount_differs",
            Self::SignDiffers => "sign_differs",
            Self::EntryNotApplied => "entry_not_applied",
            Self::PossibleDuplicateLine => "possible_duplicate_line",
            Self::SearchBound => "search_bound",
        }
    }
}

/// Several sets would do, and nothing tells which.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ambiguous {
    /// The first of them, at most [`super::CANDIDATES_SHOWN`].
    pub candidates: Vec<Set>,
    /// How many there are.
    pub count: u64,
}

/// What became of an open item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Open {
    /// Several sets would do.
    Ambiguous(Ambiguous),
    /// None would.
    Unmatched(Reason),
}

/// The result of a run: each item of the input stands in it exactly once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Matches, in the order of their first line's day and id.
    pub matches: Vec<Match>,
    /// Open lines, by index.
    pub lines: Vec<(u32, Open)>,
    /// Open entries, by index.
    pub entries: Vec<(u32, Open)>,
}
