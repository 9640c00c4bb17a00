//! Event times: epoch milliseconds or RFC 3339 with a zone (contract section 0).

use florin_base::time::{TimeError, Timestamp};

/// The earliest event time: 1990-01-01T00:00:00Z in epoch milliseconds.
pub const EARLIEST_MS: i64 = 631_152_000_000;

/// Why a value is not an event time; the names are the codes of contract A1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InstantFault {
    /// Neither whole epoch milliseconds nor RFC 3339.
    #[error("must be whole epoch milliseconds or an RFC 3339 time with a zone")]
    Invalid,
    /// RFC 3339 without a zone.
    #[error("must end with a zone: Z or an offset such as +02:00")]
    ZoneMissing,
    /// Digits other than zero beyond milliseconds.
    #[error("must not be finer than a millisecond")]
    Precision,
    /// Before 1990, such as seconds sent as milliseconds.
    #[error("lies before 1990-01-01; epoch times are in milliseconds")]
    TooOld,
    /// Beyond now and the allowed skew.
    #[error("lies in the future")]
    InFuture,
}

impl InstantFault {
    /// The stable code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Invalid => "invalid_timestamp",
            Self::ZoneMissing => "timestamp_zone_missing",
            Self::Precision => "timestamp_precision",
            Self::TooOld => "timestamp_too_old",
            Self::InFuture => "timestamp_in_future",
        }
    }
}

/// Reads whole epoch milliseconds as they stand in JSON or in a query.
///
/// # Errors
/// [`InstantFault::Invalid`] for anything but a whole number that fits 64 bits.
pub fn parse_millis(text: &str) -> Result<i64, InstantFault> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let whole = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    if !whole {
        return Err(InstantFault::Invalid);
    }
    text.parse().map_err(|_| InstantFault::Invalid)
}

/// Reads RFC 3339 to epoch milliseconds.
///
/// # Errors
/// [`InstantFault::ZoneMissing`], [`InstantFault::Precision`] or [`InstantFault::Invalid`].
pub fn parse_rfc3339(text: &str) -> Result<i64, InstantFault> {
    let text = without_zeros_beyond_micros(text)?;
    let time = Timestamp::parse(&text).map_err(|error| match error {
        TimeError::ZoneMissing => InstantFault::ZoneMissing,
        TimeError::TooPrecise => InstantFault::Precision,
        TimeError::Malformed => InstantFault::Invalid,
    })?;
    match time.micros() % 1_000 {
        0 => Ok(time.micros() / 1_000),
        _ => Err(InstantFault::Precision),
    }
}

/// Reads a time from a query: epoch milliseconds or RFC 3339.
///
/// # Errors
/// As [`parse_rfc3339`].
pub fn parse_query(text: &str) -> Result<i64, InstantFault> {
    parse_millis(text).or_else(|_| parse_rfc3339(text))
}

/// Whether an event may have happened at `millis` when it is `now_ms`.
///
/// # Errors
/// [`InstantFault::TooOld`] or [`InstantFault::InFuture`].
pub fn check_range(millis: i64, now_ms: i64, max_future_skew_ms: i64) -> Result<(), InstantFault> {
    if millis < EARLIEST_MS {
        return Err(InstantFault::TooOld);
    }
    match millis > now_ms.saturating_add(max_future_skew_ms) {
        true => Err(InstantFault::InFuture),
        false => Ok(()),
    }
}

/// Nine or more fraction digits are lawful as long as those beyond milliseconds are zeros.
fn without_zeros_beyond_micros(text: &str) -> Result<String, InstantFault> {
    let Some(point) = text.find('.') else {
        return Ok(text.to_owned());
    };
    let fraction = text[point + 1..]
        .bytes()
        .take_while(u8::is_ascii_digit)
        .count();
    if fraction <= 6 {
        return Ok(text.to_owned());
    }
    let (kept, beyond) = (point + 1 + 6, point + 1 + fraction);
    if text[kept..beyond].bytes().any(|b| b != b'0') {
        return Err(InstantFault::Precision);
    }
    Ok(format!("{}{}", &text[..kept], &text[beyond..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_mean_the_same_instant() {
        assert_eq!(parse_query("1735561800000"), Ok(1_735_561_800_000));
        assert_eq!(parse_query("2024-12-30T12:30:00Z"), Ok(1_735_561_800_000));
        assert_eq!(
            parse_query("2024-12-30T13:30:00.000000000+01:00"),
            Ok(1_735_561_800_000)
        );
    }

    #[test]
    fn rows_18_to_22_have_their_codes() {
        let seconds = parse_millis("1735561800").expect("a number");
        assert_eq!(
            check_range(seconds, 1_735_561_800_000, 300_000),
            Err(InstantFault::TooOld)
        );
        let now = 1_735_561_800_000;
        assert_eq!(
            check_range(now + 3_600_000, now, 300_000),
            Err(InstantFault::InFuture)
        );
        assert_eq!(check_range(now + 300_000, now, 300_000), Ok(()));
        assert_eq!(
            parse_rfc3339("2025-01-01T00:00:00"),
            Err(InstantFault::ZoneMissing)
        );
        for fine in [
            "2025-01-01T00:00:00.0001Z",
            "2025-01-01T00:00:00.0000000001Z",
        ] {
            assert_eq!(parse_rfc3339(fine), Err(InstantFault::Precision), "{fine}");
        }
        for bad in ["1.5", "1e3", "", "-", "yesterday", "99999999999999999999"] {
            assert_eq!(parse_query(bad), Err(InstantFault::Invalid), "{bad}");
        }
    }
}
