//! Calendar days as statements write them: no zone, no time.

use std::fmt;

use florin_base::Timestamp;

const DAY_MICROS: i64 = 86_400_000_000;
/// Two-digit years from here on belong to the twentieth century.
const CENTURY_PIVOT: i64 = 80;

/// A calendar day: days since 1970-01-01.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Day(pub i32);

impl Day {
    /// The day of a civil date; `None` when there is no such day (31 February).
    pub fn from_ymd(year: i64, month: i64, day: i64) -> Option<Self> {
        let at = Timestamp::from_date(year, month, day)?;
        i32::try_from(at.day_number()).ok().map(Self)
    }

    /// Reads `YYYY-MM-DD`, with anything or nothing behind it when `tail` is allowed.
    pub fn parse_iso(text: &str, tail: bool) -> Option<Self> {
        let bytes = text.as_bytes();
        if bytes.len() < 10 || (bytes.len() > 10 && !tail) || bytes[4] != b'-' || bytes[7] != b'-' {
            return None;
        }
        Self::from_ymd(
            digits(&bytes[..4])?,
            digits(&bytes[5..7])?,
            digits(&bytes[8..10])?,
        )
    }

    /// Reads `YYYYMMDD` at the start of the text.
    pub fn parse_compact(text: &[u8]) -> Option<Self> {
        if text.len() < 8 {
            return None;
        }
        Self::from_ymd(
            digits(&text[..4])?,
            digits(&text[4..6])?,
            digits(&text[6..8])?,
        )
    }

    /// Reads `YYMMDD`: 80–99 is 1980–1999, the rest 2000–2079.
    pub fn parse_short(text: &[u8]) -> Option<Self> {
        if text.len() < 6 {
            return None;
        }
        let year = digits(&text[..2])?;
        let century = if year >= CENTURY_PIVOT { 1_900 } else { 2_000 };
        Self::from_ymd(century + year, digits(&text[2..4])?, digits(&text[4..6])?)
    }

    /// The day of this month and day that lies nearest to `self`: last year's, this year's or
    /// next year's. 29 February counts only in years that have one.
    pub fn nearest(self, month: i64, day: i64) -> Option<Self> {
        let year = self.year();
        (year - 1..=year + 1)
            .filter_map(|year| Self::from_ymd(year, month, day))
            .min_by_key(|candidate| (candidate.0.abs_diff(self.0), candidate.0))
    }

    fn year(self) -> i64 {
        let text = self.start().to_ascii();
        digits(&text[..4]).unwrap_or(1_970)
    }

    /// Midnight UTC at its start.
    pub const fn start(self) -> Timestamp {
        Timestamp(self.0 as i64 * DAY_MICROS)
    }

    /// The day on which an instant falls at an offset of so many minutes from UTC.
    pub fn of_millis(epoch_ms: i64, offset_minutes: i32) -> Self {
        let local = epoch_ms.saturating_add(i64::from(offset_minutes) * 60_000);
        let day = local.div_euclid(DAY_MICROS / 1_000);
        Self(i32::try_from(day).unwrap_or(if day < 0 { i32::MIN } else { i32::MAX }))
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.start().to_ascii();
        f.write_str(std::str::from_utf8(&text[..10]).expect("digits are ASCII"))
    }
}

impl serde::Serialize for Day {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Day {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        Self::parse_iso(&text, false)
            .ok_or_else(|| serde::de::Error::custom("must be a day such as 2026-01-31"))
    }
}

/// A whole number of ASCII digits only.
pub(super) fn digits(text: &[u8]) -> Option<i64> {
    if text.is_empty() || text.len() > 18 {
        return None;
    }
    let mut value = 0;
    for &byte in text {
        if !byte.is_ascii_digit() {
            return None;
        }
        value = value * 10 + i64::from(byte - b'0');
    }
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> Day {
        Day::parse_iso(text, false).expect("a day")
    }

    #[test]
    fn three_spellings_of_one_day() {
        assert_eq!(
            Day::parse_compact(b"20260131120000"),
            Some(day("2026-01-31"))
        );
        assert_eq!(Day::parse_short(b"260131"), Some(day("2026-01-31")));
        assert_eq!(Day::parse_short(b"991231"), Some(day("1999-12-31")));
        assert_eq!(
            Day::parse_iso("2026-01-31T09:00:00Z", true),
            Some(day("2026-01-31"))
        );
        assert_eq!(day("2026-01-31").to_string(), "2026-01-31");
        for wrong in ["2026-02-31", "2026-1-31", "2026-01-31T", "", "é026-01-31"] {
            assert_eq!(Day::parse_iso(wrong, false), None, "{wrong}");
        }
    }

    #[test]
    fn the_nearest_year_crosses_new_year() {
        assert_eq!(day("2025-01-02").nearest(12, 31), Some(day("2024-12-31")));
        assert_eq!(day("2024-12-31").nearest(1, 2), Some(day("2025-01-02")));
        assert_eq!(day("2025-03-01").nearest(2, 29), Some(day("2024-02-29")));
        assert_eq!(day("2025-06-15").nearest(2, 30), None);
    }

    #[test]
    fn zones_move_the_day() {
        let midnight = day("2026-01-31").start().micros() / 1_000;
        assert_eq!(Day::of_millis(midnight, 0), day("2026-01-31"));
        assert_eq!(Day::of_millis(midnight, -180), day("2026-01-30"));
        assert_eq!(Day::of_millis(midnight - 1, 60), day("2026-01-31"));
    }
}
