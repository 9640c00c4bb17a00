//! UTC instants in microseconds and their RFC 3339 text.

use std::fmt;

const DAY_MICROS: i64 = 86_400_000_000;
const MIN_YEAR: i64 = 1;
const MAX_YEAR: i64 = 9_999;

/// Microseconds since 1970-01-01T00:00:00Z, years 0001 to 9999.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(pub i64);

/// Why a text is not a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TimeError {
    /// Not `YYYY-MM-DDTHH:MM:SS[.ffffff]` with an existing date and hour.
    #[error("must be an RFC 3339 time such as 2026-01-31T12:00:00Z")]
    Malformed,
    /// No `Z` or offset at the end.
    #[error("must end with a zone: Z or an offset such as +02:00")]
    ZoneMissing,
    /// More than six digits after the decimal point.
    #[error("must have at most six fraction digits (microseconds)")]
    TooPrecise,
}

/// What a missing zone means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Zone {
    /// Refuse the text ([`TimeError::ZoneMissing`]).
    Required,
    /// Read it as UTC.
    DefaultUtc,
}

fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let y = if month <= 2 { year - 1 } else { year };
    let era = y.div_euclid(400);
    let yoe = y.rem_euclid(400);
    let doy = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    let doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
    era * 146_097 + doe - 719_468
}

fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let doe = z.rem_euclid(146_097);
    let yoe = (doe - doe / 1_460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let day = doy - (153 * mp + 2) / 5 + 1;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    let year = yoe + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 31,
    }
}

struct Cursor<'a> {
    rest: &'a [u8],
}

impl Cursor<'_> {
    fn digits(&mut self, count: usize) -> Result<i64, TimeError> {
        if self.rest.len() < count {
            return Err(TimeError::Malformed);
        }
        let (head, tail) = self.rest.split_at(count);
        self.rest = tail;
        head.iter().try_fold(0i64, |acc, b| match b {
            b'0'..=b'9' => Ok(acc * 10 + i64::from(b - b'0')),
            _ => Err(TimeError::Malformed),
        })
    }

    fn take(&mut self, allowed: &[u8]) -> Result<u8, TimeError> {
        match self.rest.split_first() {
            Some((b, tail)) if allowed.contains(b) => {
                self.rest = tail;
                Ok(*b)
            }
            _ => Err(TimeError::Malformed),
        }
    }

    fn fraction_micros(&mut self) -> Result<i64, TimeError> {
        if self.rest.first() != Some(&b'.') {
            return Ok(0);
        }
        let count = self.rest[1..]
            .iter()
            .take_while(|b| b.is_ascii_digit())
            .count();
        if count == 0 {
            return Err(TimeError::Malformed);
        }
        if count > 6 {
            return Err(TimeError::TooPrecise);
        }
        self.rest = &self.rest[1..];
        let value = self.digits(count)?;
        Ok((count..6).fold(value, |acc, _| acc * 10))
    }
}

impl Timestamp {
    /// Reads RFC 3339 with a zone, at most six fraction digits.
    pub fn parse(text: &str) -> Result<Self, TimeError> {
        Self::parse_with(text, Zone::Required)
    }

    /// Reads `YYYY-MM-DDTHH:MM[:SS[.f]]` with the given rule for a missing zone. Seconds may
    /// be left out only where the zone may ([`Zone::DefaultUtc`], contract section 0).
    pub fn parse_with(text: &str, zone: Zone) -> Result<Self, TimeError> {
        let mut c = Cursor {
            rest: text.as_bytes(),
        };
        let year = c.digits(4)?;
        c.take(b"-")?;
        let month = c.digits(2)?;
        c.take(b"-")?;
        let day = c.digits(2)?;
        c.take(b"Tt ")?;
        let hour = c.digits(2)?;
        c.take(b":")?;
        let minute = c.digits(2)?;
        let (mut second, mut fraction) = (0, 0);
        if zone == Zone::Required || c.rest.first() == Some(&b':') {
            c.take(b":")?;
            second = c.digits(2)?;
            fraction = c.fraction_micros()?;
        }
        let valid = (MIN_YEAR..=MAX_YEAR).contains(&year)
            && (1..=12).contains(&month)
            && (1..=days_in_month(year, month)).contains(&day)
            && hour <= 23
            && minute <= 59
            && second <= 59;
        if !valid {
            return Err(TimeError::Malformed);
        }
        let offset = Self::offset_minutes(&mut c, zone)?;
        let seconds =
            days_from_civil(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second;
        let micros = (seconds - offset * 60) * 1_000_000 + fraction;
        let (y, _, _) = civil_from_days(micros.div_euclid(DAY_MICROS));
        if !(MIN_YEAR..=MAX_YEAR).contains(&y) {
            return Err(TimeError::Malformed);
        }
        Ok(Self(micros))
    }

    fn offset_minutes(c: &mut Cursor<'_>, zone: Zone) -> Result<i64, TimeError> {
        if c.rest.is_empty() {
            return match zone {
                Zone::Required => Err(TimeError::ZoneMissing),
                Zone::DefaultUtc => Ok(0),
            };
        }
        let sign = match c.take(b"Zz+-")? {
            b'+' => 1,
            b'-' => -1,
            _ if c.rest.is_empty() => return Ok(0),
            _ => return Err(TimeError::Malformed),
        };
        let hours = c.digits(2)?;
        c.take(b":")?;
        let minutes = c.digits(2)?;
        if hours > 23 || minutes > 59 || !c.rest.is_empty() {
            return Err(TimeError::Malformed);
        }
        Ok(sign * (hours * 60 + minutes))
    }

    /// Midnight UTC at the start of a civil day; `None` when there is no such day.
    pub fn from_date(year: i64, month: i64, day: i64) -> Option<Self> {
        let valid = (MIN_YEAR..=MAX_YEAR).contains(&year)
            && (1..=12).contains(&month)
            && (1..=days_in_month(year, month)).contains(&day);
        valid.then(|| Self(days_from_civil(year, month, day) * DAY_MICROS))
    }

    /// Microseconds since the epoch.
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// Days since the epoch (UTC); numbers calendar-day windows.
    pub const fn day_number(self) -> i64 {
        self.0.div_euclid(DAY_MICROS)
    }

    /// Months since year 0 (UTC); numbers calendar-month windows.
    pub fn month_number(self) -> i64 {
        let (year, month, _) = civil_from_days(self.day_number());
        year * 12 + month - 1
    }

    /// The first instant of the next UTC day.
    pub const fn next_day(self) -> Self {
        Self((self.day_number() + 1) * DAY_MICROS)
    }

    /// The first instant of the next UTC month.
    pub fn next_month(self) -> Self {
        let next = self.month_number() + 1;
        Self(days_from_civil(next.div_euclid(12), next.rem_euclid(12) + 1, 1) * DAY_MICROS)
    }

    /// Writes `YYYY-MM-DDTHH:MM:SS.ffffffZ` (27 bytes) to a buffer.
    pub fn write_to(self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.to_ascii());
    }

    /// The canonical text as bytes: always six fraction digits and `Z`.
    pub fn to_ascii(self) -> [u8; 27] {
        let days = self.0.div_euclid(DAY_MICROS);
        let within = self.0.rem_euclid(DAY_MICROS);
        let (year, month, day) = civil_from_days(days);
        let mut text = *b"0000-00-00T00:00:00.000000Z";
        put(&mut text[0..4], year);
        put(&mut text[5..7], month);
        put(&mut text[8..10], day);
        put(&mut text[11..13], within / 3_600_000_000);
        put(&mut text[14..16], within / 60_000_000 % 60);
        put(&mut text[17..19], within / 1_000_000 % 60);
        put(&mut text[20..26], within % 1_000_000);
        text
    }
}

fn put(slot: &mut [u8], mut value: i64) {
    for b in slot.iter_mut().rev() {
        *b = b'0' + (value % 10) as u8;
        value /= 10;
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::str::from_utf8(&self.to_ascii()).expect("digits are ASCII"))
    }
}

impl serde::Serialize for Timestamp {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(std::str::from_utf8(&self.to_ascii()).expect("digits are ASCII"))
    }
}

impl<'de> serde::Deserialize<'de> for Timestamp {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_round_trips() {
        for text in [
            "1970-01-01T00:00:00.000000Z",
            "2024-02-29T23:59:59.999999Z",
            "0001-01-01T00:00:00.000000Z",
            "9999-12-31T23:59:59.999999Z",
        ] {
            assert_eq!(Timestamp::parse(text).expect(text).to_string(), text);
        }
    }

    #[test]
    fn offsets_are_subtracted() {
        let t = Timestamp::parse("2026-03-01T01:30:00.5+02:00").expect("valid");
        assert_eq!(t.to_string(), "2026-02-28T23:30:00.500000Z");
    }

    #[test]
    fn bad_texts_are_refused_with_the_reason() {
        assert_eq!(
            Timestamp::parse("2026-01-01T00:00:00"),
            Err(TimeError::ZoneMissing)
        );
        assert_eq!(
            Timestamp::parse("2026-02-29T00:00:00Z"),
            Err(TimeError::Malformed)
        );
        assert_eq!(
            Timestamp::parse("2026-01-01T00:00:00.1234567Z"),
            Err(TimeError::TooPrecise)
        );
        assert_eq!(Timestamp::parse("yesterday"), Err(TimeError::Malformed));
        assert_eq!(
            Timestamp::parse("2026-01-01T00:00Z"),
            Err(TimeError::Malformed)
        );
        assert_eq!(
            Timestamp::parse("2026-01-01T00:00:00Zx"),
            Err(TimeError::Malformed)
        );
    }

    #[test]
    fn a_missing_zone_may_mean_utc() {
        let t = Timestamp::parse_with("2026-01-01T10:20", Zone::DefaultUtc).expect("valid");
        assert_eq!(t.to_string(), "2026-01-01T10:20:00.000000Z");
    }

    #[test]
    fn windows_follow_the_calendar() {
        let t = Timestamp::parse("2026-12-31T23:59:59.9Z").expect("valid");
        assert_eq!(t.next_day().to_string(), "2027-01-01T00:00:00.000000Z");
        assert_eq!(t.next_month().to_string(), "2027-01-01T00:00:00.000000Z");
        assert_eq!(t.next_month().month_number(), t.month_number() + 1);
    }
}
