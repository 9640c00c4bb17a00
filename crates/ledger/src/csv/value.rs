//! Reading dates and amounts as files write them.

use florin_base::Timestamp;
use florin_base::money::{AmountError, Decimal};

use super::error::CsvError;
use super::profile::{AmountRule, DateRule};

/// Largest amount or balance, in minor units: far above any money, and low enough that the sum
/// of all lines of a file fits 128 bits.
pub(super) const MAX_MINOR: u128 = 1 << 100;
const SECOND_MICROS: i64 = 1_000_000;

/// Problem and fix of one cell.
pub(super) type Trouble = (String, String);

fn trouble(problem: impl Into<String>, fix: impl Into<String>) -> Trouble {
    (problem.into(), fix.into())
}

/// The beginning of a cell, for messages.
pub(super) fn excerpt(cell: &str) -> String {
    const MOST: usize = 50;
    let mut shown: String = cell.chars().take(MOST).collect();
    if shown.len() < cell.len() {
        shown.push('…');
    }
    shown
}

/// A point in time as the file gives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Moment {
    /// Microseconds since the epoch, UTC.
    pub utc_micros: i64,
    /// The same in local time: its date is the line's day.
    pub local_micros: i64,
}

enum DatePiece {
    Literal(char),
    /// Unit (an index into year, month, day, hour, minute, second) and its width in digits.
    Number {
        unit: usize,
        least: usize,
        most: usize,
    },
}

/// A date format and its zone, ready to read cells.
pub(super) struct Dates {
    pieces: Vec<DatePiece>,
    format: String,
    time_of_day: [i64; 3],
    offset_micros: i64,
}

impl Dates {
    pub fn new(rule: &DateRule) -> Result<Self, CsvError> {
        let wrong = |problem: &str| CsvError::profile("date.format", problem);
        let mut pieces = Vec::new();
        let mut seen = [0; 6];
        let mut letters = rule.format.chars();
        while let Some(letter) = letters.next() {
            if letter != '%' {
                pieces.push(DatePiece::Literal(letter));
                continue;
            }
            let (least, most, letter) = match letters.next() {
                Some('%') => {
                    pieces.push(DatePiece::Literal('%'));
                    continue;
                }
                Some('-') => (1, 2, letters.next().filter(|c| matches!(c, 'd' | 'm'))),
                Some('Y') => (4, 4, Some('Y')),
                other => (2, 2, other),
            };
            let unit = letter.and_then(|letter| "YmdHMS".find(letter));
            let unit = unit.ok_or_else(|| wrong("use %Y %m %d %H %M %S %-d %-m and %%"))?;
            seen[unit] += 1;
            pieces.push(DatePiece::Number { unit, least, most });
        }
        if seen[..3] != [1, 1, 1] {
            return Err(wrong("needs %Y, %m and %d once each"));
        }
        let has_time = match seen[3..] {
            [0, 0, 0] => false,
            [1, 1, 0 | 1] => true,
            _ => return Err(wrong("a time needs %H and %M, and %S if there are seconds")),
        };
        if has_time && rule.time_of_day.is_some() {
            let problem = "leave it out: the format has a time";
            return Err(CsvError::profile("date.time_of_day", problem));
        }
        let time_of_day = rule.time_of_day.as_deref().unwrap_or("00:00:00");
        Ok(Self {
            pieces,
            format: rule.format.clone(),
            time_of_day: clock_time(time_of_day)
                .ok_or_else(|| CsvError::profile("date.time_of_day", "expected HH:MM:SS"))?,
            offset_micros: offset(&rule.utc_offset)
                .ok_or_else(|| CsvError::profile("date.utc_offset", "expected +HH:MM or -HH:MM"))?,
        })
    }

    pub fn read(&self, cell: &str) -> Result<Moment, Trouble> {
        self.parts(cell)
            .and_then(|parts| {
                let [year, month, day, hour, minute, second] = parts;
                let midnight = Timestamp::from_date(year, month, day)?.micros();
                let valid = hour <= 23 && minute <= 59 && second <= 59;
                let seconds = hour * 3_600 + minute * 60 + second;
                let local_micros = midnight + seconds * SECOND_MICROS;
                valid.then_some(Moment {
                    utc_micros: local_micros - self.offset_micros,
                    local_micros,
                })
            })
            .ok_or_else(|| {
                trouble(
                    format!(
                        "`{}` is not a date of the form {}",
                        excerpt(cell),
                        self.format
                    ),
                    "correct the date, or `date.format` in the profile",
                )
            })
    }

    fn parts(&self, cell: &str) -> Option<[i64; 6]> {
        let [hour, minute, second] = self.time_of_day;
        let mut parts = [0, 0, 0, hour, minute, second];
        let mut rest = cell;
        for piece in &self.pieces {
            match piece {
                DatePiece::Literal(letter) => rest = rest.strip_prefix(*letter)?,
                DatePiece::Number { unit, least, most } => {
                    let digits = rest.bytes().take(*most).take_while(u8::is_ascii_digit);
                    let (number, tail) = rest.split_at(digits.count());
                    if number.len() < *least {
                        return None;
                    }
                    parts[*unit] = number.parse().ok()?;
                    rest = tail;
                }
            }
        }
        rest.is_empty().then_some(parts)
    }
}

fn two_digits(text: &str, most: i64) -> Option<i64> {
    let digits = text.len() == 2 && text.bytes().all(|b| b.is_ascii_digit());
    let number = digits.then(|| text.parse().ok())??;
    (number <= most).then_some(number)
}

fn clock_time(text: &str) -> Option<[i64; 3]> {
    let mut parts = text.split(':');
    let hour = two_digits(parts.next()?, 23)?;
    let minute = two_digits(parts.next()?, 59)?;
    let second = two_digits(parts.next()?, 59)?;
    parts.next().is_none().then_some([hour, minute, second])
}

fn offset(text: &str) -> Option<i64> {
    let sign = match text.bytes().next()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let (hours, minutes) = text[1..].split_once(':')?;
    let minutes = two_digits(hours, 14)? * 60 + two_digits(minutes, 59)?;
    Some(sign * minutes * 60 * SECOND_MICROS)
}

/// How numbers are written, ready to read cells.
pub(super) struct Amounts {
    decimal: char,
    thousands: Option<char>,
    asset: String,
    scale: u8,
}

impl Amounts {
    pub fn new(rule: &AmountRule, asset: &str, scale: u8) -> Result<Self, CsvError> {
        let (decimal, thousands) = (rule.decimal_separator, rule.thousands_separator);
        let taken = |c: char| c.is_ascii_digit() || c == '-';
        if taken(decimal) || thousands.is_some_and(taken) || thousands == Some(decimal) {
            let problem = "separators are two different characters, neither digits nor `-`";
            return Err(CsvError::profile("amount.decimal_separator", problem));
        }
        let asset = asset.to_owned();
        Ok(Self {
            decimal,
            thousands,
            asset,
            scale,
        })
    }

    /// Signed minor units, exactly; never rounded.
    pub fn read(&self, cell: &str) -> Result<i128, Trouble> {
        let malformed = || {
            trouble(
                format!("`{}` is not a number", excerpt(cell)),
                "write digits with the separators that the profile names",
            )
        };
        let number = self.plain(cell).ok_or_else(malformed)?;
        let mut decimal = match Decimal::parse(&number) {
            Ok(decimal) => decimal,
            Err(AmountError::Range) => return Err(self.too_large(cell)),
            Err(_) => return Err(malformed()),
        };
        let negative = std::mem::replace(&mut decimal.negative, false);
        let minor = match decimal.to_minor(self.scale) {
            Ok(minor) => minor,
            Err(AmountError::Precision) => {
                let (asset, scale) = (&self.asset, self.scale);
                return Err(trouble(
                    format!(
                        "`{}` has more than the {scale} decimals of {asset}",
                        excerpt(cell)
                    ),
                    "correct the amount, or `scale` in the profile",
                ));
            }
            Err(_) => return Err(self.too_large(cell)),
        };
        let minor = i128::try_from(minor).ok();
        let minor = minor.filter(|minor| minor.unsigned_abs() <= MAX_MINOR);
        let minor = minor.ok_or_else(|| self.too_large(cell))?;
        Ok(if negative { -minor } else { minor })
    }

    fn too_large(&self, cell: &str) -> Trouble {
        trouble(
            format!("`{}` is too large", excerpt(cell)),
            "amounts and balances end at 2^100 minor units",
        )
    }

    /// With a point and without groups; `None` when groups are not of three digits.
    fn plain(&self, cell: &str) -> Option<String> {
        let (whole, decimals) = match cell.split_once(self.decimal) {
            Some((whole, decimals)) => (whole, Some(decimals)),
            None => (cell, None),
        };
        let mut plain = String::with_capacity(cell.len());
        match self.thousands {
            Some(separator) if whole.contains(separator) => {
                for (index, group) in whole.split(separator).enumerate() {
                    let digits = group.strip_prefix('-').filter(|_| index == 0);
                    let count = digits.unwrap_or(group).len();
                    if count > 3 || count == 0 || (index > 0 && count != 3) {
                        return None;
                    }
                    plain.push_str(group);
                }
            }
            _ => plain.push_str(whole),
        }
        if let Some(decimals) = decimals {
            plain.push('.');
            plain.push_str(decimals);
        }
        Some(plain)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dates(format: &str, time_of_day: Option<&str>, utc_offset: &str) -> Dates {
        let rule = DateRule {
            column: "date".to_owned(),
            format: format.to_owned(),
            time_of_day: time_of_day.map(str::to_owned),
            utc_offset: utc_offset.to_owned(),
        };
        Dates::new(&rule).unwrap_or_else(|error| panic!("{error}"))
    }

    #[test]
    fn dates_become_moments() {
        let noon = dates("%Y-%m-%d", Some("12:00:00"), "+01:00");
        let moment = noon.read("1993-01-02").unwrap();
        let expected = Timestamp::parse("1993-01-02T12:00:00+01:00").unwrap();
        assert_eq!(moment.utc_micros, expected.micros());
        assert_eq!(moment.local_micros - moment.utc_micros, 3_600_000_000);
        for wrong in ["1993-02-29", "1993-1-2", "93-01-02", "1993-01-02 ", "", "é"] {
            assert!(noon.read(wrong).is_err(), "{wrong}");
        }
        let timed = dates("%-d.%-m.%Y %H:%M", None, "-03:30");
        let moment = timed.read("2.11.2024 23:45").unwrap();
        let expected = Timestamp::parse("2024-11-02T23:45:00-03:30").unwrap();
        assert_eq!(moment.utc_micros, expected.micros());
        assert!(timed.read("2.11.2024 24:00").is_err());
    }

    #[test]
    fn amounts_are_exact_or_refused() {
        let rule = |decimal_separator, thousands_separator| AmountRule {
            column: "amount".to_owned(),
            decimal_separator,
            thousands_separator,
        };
        let Ok(plain) = Amounts::new(&rule('.', None), "CZK", 2) else {
            panic!("separators are fine");
        };
        assert_eq!(plain.read("12.5"), Ok(1_250));
        assert_eq!(plain.read("-0.00"), Ok(0));
        assert_eq!(plain.read("-3"), Ok(-300));
        for wrong in [
            "",
            "1,000.00",
            "1.005",
            "1e3",
            " 1",
            "--1",
            "1.",
            "9".repeat(40).as_str(),
        ] {
            assert!(plain.read(wrong).is_err(), "{wrong}");
        }
        let Ok(grouped) = Amounts::new(&rule(',', Some('.')), "EUR", 2) else {
            panic!("separators are fine");
        };
        assert_eq!(grouped.read("-1.234.567,89"), Ok(-123_456_789));
        assert_eq!(grouped.read("1234,5"), Ok(123_450));
        for wrong in ["1.23", "1234.567,00", ".123", "-.123", "1..123", "1.23-,0"] {
            assert!(grouped.read(wrong).is_err(), "{wrong}");
        }
        assert!(Amounts::new(&rule('.', Some('.')), "EUR", 2).is_err());
    }
}
