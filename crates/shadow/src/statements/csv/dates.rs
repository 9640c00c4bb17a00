//! Date patterns of profiles, ready to read cells.

use super::super::day::{Day, digits};

enum Piece {
    Literal(char),
    /// Which part, and its fewest and most digits.
    Number(Part, usize, usize),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Year,
    ShortYear,
    Month,
    Day,
    Hour,
    Minute,
    Second,
}

const TOKENS: [(&str, Part, usize, usize); 9] = [
    ("YYYY", Part::Year, 4, 4),
    ("YY", Part::ShortYear, 2, 2),
    ("MM", Part::Month, 2, 2),
    ("M", Part::Month, 1, 2),
    ("DD", Part::Day, 2, 2),
    ("D", Part::Day, 1, 2),
    ("HH", Part::Hour, 2, 2),
    ("mm", Part::Minute, 2, 2),
    ("ss", Part::Second, 2, 2),
];

/// A compiled pattern.
pub(super) struct Dates(Vec<Piece>);

impl Dates {
    /// `None` unless year, month and day stand in it once each.
    pub(super) fn new(pattern: &str) -> Option<Self> {
        let mut pieces = Vec::new();
        let mut parts: Vec<Part> = Vec::new();
        let mut rest = pattern;
        while let Some(letter) = rest.chars().next() {
            let token = TOKENS.iter().find(|(token, ..)| rest.starts_with(token));
            if let Some(&(token, part, least, most)) = token {
                if parts.contains(&part) {
                    return None;
                }
                parts.push(part);
                pieces.push(Piece::Number(part, least, most));
                rest = &rest[token.len()..];
            } else {
                pieces.push(Piece::Literal(letter));
                rest = &rest[letter.len_utf8()..];
            }
        }
        let has = |part| parts.contains(&part);
        let year = has(Part::Year) != has(Part::ShortYear);
        (year && has(Part::Month) && has(Part::Day)).then_some(Self(pieces))
    }

    /// The day of a cell; the time of day is checked and dropped.
    pub(super) fn read(&self, cell: &str) -> Option<Day> {
        let (mut year, mut month, mut day) = (0, 0, 0);
        let mut rest = cell;
        for piece in &self.0 {
            match piece {
                Piece::Literal(letter) => rest = rest.strip_prefix(*letter)?,
                Piece::Number(part, least, most) => {
                    let count = rest
                        .bytes()
                        .take(*most)
                        .take_while(u8::is_ascii_digit)
                        .count();
                    if count < *least {
                        return None;
                    }
                    let number = digits(&rest.as_bytes()[..count])?;
                    rest = &rest[count..];
                    match part {
                        Part::Year => year = number,
                        Part::ShortYear => year = if number >= 80 { 1_900 } else { 2_000 } + number,
                        Part::Month => month = number,
                        Part::Day => day = number,
                        Part::Hour if number > 23 => return None,
                        Part::Minute | Part::Second if number > 59 => return None,
                        _ => {}
                    }
                }
            }
        }
        rest.is_empty().then(|| Day::from_ymd(year, month, day))?
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_read_cells() {
        let read = |pattern: &str, cell: &str| {
            let dates = Dates::new(pattern).unwrap_or_else(|| panic!("{pattern}"));
            dates.read(cell).map(|day| day.to_string())
        };
        assert_eq!(
            read("DD.MM.YYYY", "31.01.2026").as_deref(),
            Some("2026-01-31")
        );
        assert_eq!(read("D/M/YY", "1/2/26").as_deref(), Some("2026-02-01"));
        assert_eq!(
            read("YYYY-MM-DD HH:mm:ss", "2026-01-31 23:59:59").as_deref(),
            Some("2026-01-31")
        );
        // Row 47.
        assert_eq!(read("DD.MM.YYYY", "31.02.2026"), None);
        for cell in ["31.01.26", "31.01.2026 ", "é", "", "1.1.2026"] {
            assert_eq!(read("DD.MM.YYYY", cell), None, "{cell}");
        }
        assert_eq!(read("YYYY-MM-DD HH:mm", "2026-01-31 24:00"), None);
        for pattern in ["", "YYYY-MM", "YYYY YY MM DD", "DD-DD-YYYY-MM"] {
            assert!(Dates::new(pattern).is_none(), "{pattern}");
        }
    }
}
