//! Times: sent in UTC, shown by the script in the viewer's zone with UTC on hover. Without the
//! script they stay in UTC and say so.

use florin_base::Timestamp;
use florin_base::time::Zone;
use maud::{Markup, html};

/// A time of the API (RFC 3339, UTC). Empty texts show as a dash.
pub fn time(text: &str) -> Markup {
    html! {
        @if text.is_empty() { span.none { "–" } }
        @else { time datetime=(text) title={ (utc(text)) " UTC" } { (utc(text)) " UTC" } }
    }
}

/// The same as "3 minutes ago"; the script keeps it true.
pub fn ago(text: &str) -> Markup {
    html! {
        @if text.is_empty() { span.none { "–" } }
        @else {
            time datetime=(text) data-ago title={ (utc(text)) " UTC" } { (utc(text)) " UTC" }
        }
    }
}

/// The same as the clock says where something takes place: a day, or day and hour, of an IANA
/// zone. Only the script knows zones; without it the time stays in UTC.
pub fn there(text: &str, zone: &str, hours: bool) -> Markup {
    html! {
        time datetime=(text) data-there=(zone) data-hours[hours] title={ (utc(text)) " UTC" } {
            (utc(text)) " UTC"
        }
    }
}

/// `2026-01-31 09:15:00` of an RFC 3339 text; any other text comes back as it is.
pub fn utc(text: &str) -> String {
    let plain = text.get(..19).filter(|_| text.ends_with('Z'));
    plain.map_or_else(|| text.to_owned(), |plain| plain.replacen('T', " ", 1))
}

/// Microseconds as RFC 3339.
pub fn rfc3339(micros: i64) -> String {
    Timestamp(micros).to_string()
}

/// What a field for a time was sent with, as RFC 3339 for the API: with a zone as it is, without
/// one as UTC. Empty stays empty; `None` when it is no time.
pub fn sent(text: &str) -> Option<String> {
    if text.is_empty() {
        return Some(String::new());
    }
    let day = (text.len() == 10).then(|| format!("{text}T00:00:00Z"));
    let read = Timestamp::parse_with(day.as_deref().unwrap_or(text), Zone::DefaultUtc);
    read.ok().map(|time| time.to_string())
}

/// A field for a time. The script shows and takes it in the viewer's zone and sends UTC.
pub fn field(name: &str, label: &str, value: &str) -> Markup {
    let local = value.get(..16).unwrap_or_default();
    html! {
        label.field {
            span { (label) span.zone data-zone { " (UTC)" } }
            input type="datetime-local" name=(name) value=(local) data-utc=(value);
        }
    }
}

/// A length of time in words that fit a column.
pub fn seconds(seconds: f64) -> String {
    match seconds {
        s if s <= 0.0 => "0 s".to_owned(),
        s if s < 0.001 => format!("{:.0} µs", s * 1e6),
        s if s < 1.0 => format!("{:.0} ms", s * 1e3),
        s if s < 120.0 => format!("{s:.0} s"),
        s if s < 7_200.0 => format!("{:.0} min", s / 60.0),
        s if s < 172_800.0 => format!("{:.0} h", s / 3_600.0),
        s => format!("{:.0} days", s / 86_400.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_as_utc() {
        let whole = "2026-03-01T10:20:00.000000Z";
        assert_eq!(sent("2026-03-01T10:20").as_deref(), Some(whole));
        assert_eq!(sent("2026-03-01T12:20:00+02:00").as_deref(), Some(whole));
        assert_eq!(
            sent("2026-03-01").as_deref(),
            Some("2026-03-01T00:00:00.000000Z")
        );
        assert_eq!(sent("").as_deref(), Some(""));
        assert_eq!(sent("soon"), None);
    }

    #[test]
    fn lengths_fit_a_column() {
        for (length, shown) in [
            (0.0, "0 s"),
            (-0.0, "0 s"),
            (0.000_25, "250 µs"),
            (0.014, "14 ms"),
            (59.6, "60 s"),
            (600.0, "10 min"),
            (90_000.0, "25 h"),
            (864_000.0, "10 days"),
        ] {
            assert_eq!(seconds(length), shown);
        }
    }
}
