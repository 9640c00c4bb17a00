//! The event as a calendar file (RFC 5545).

use florin_base::Timestamp;

use crate::model::event::Event;

/// Octets of a line, without its end (RFC 5545, 3.1).
const LINE_MAX: usize = 75;

/// A calendar with the event, for the holder of `number` (a ticket's or an order's). `now` is in
/// microseconds. `None` for an event without times.
pub fn file(event: &Event, number: &str, host: &str, now: i64) -> Option<String> {
    let (starts_at, ends_at) = (event.starts_at?, event.ends_at?);
    let mut lines = vec![
        "BEGIN:VCALENDAR".to_owned(),
        "VERSION:2.0".to_owned(),
        "PRODID:-//Florin//Tickets//EN".to_owned(),
        "METHOD:PUBLISH".to_owned(),
        "BEGIN:VEVENT".to_owned(),
        format!("UID:{}-{number}@{host}", event.id),
        format!("SEQUENCE:{}", event.version),
        format!("DTSTAMP:{}", instant(now)),
        format!("DTSTART:{}", instant(starts_at)),
        format!("DTEND:{}", instant(ends_at)),
        format!("SUMMARY:{}", text(&event.title)),
        format!("DESCRIPTION:{}", text(&format!("Ticket {number}"))),
    ];
    if let Some(venue) = &event.venue {
        let place = [&venue.name, &venue.address, &venue.city];
        let place: Vec<&str> = place.into_iter().map(String::as_str).collect();
        lines.push(format!("LOCATION:{}", text(&place.join(", "))));
    }
    lines.push("END:VEVENT".to_owned());
    lines.push("END:VCALENDAR".to_owned());
    Some(lines.iter().map(|line| folded(line)).collect())
}

/// `20300629T180000Z`
fn instant(micros: i64) -> String {
    let whole = Timestamp(micros).to_string();
    let digits: String = whole[..19].chars().filter(|c| !"-:".contains(*c)).collect();
    format!("{digits}Z")
}

/// Escapes text (RFC 5545, 3.3.11).
fn text(plain: &str) -> String {
    let mut escaped = String::with_capacity(plain.len());
    for c in plain.chars() {
        match c {
            '\\' | ';' | ',' => {
                escaped.push('\\');
                escaped.push(c);
            }
            '\n' => escaped.push_str("\\n"),
            c if c.is_control() => {}
            c => escaped.push(c),
        }
    }
    escaped
}

/// A line with its end, folded at the octet limit, between characters.
fn folded(line: &str) -> String {
    let mut out = String::with_capacity(line.len() + 8);
    let mut width = 0;
    for c in line.chars() {
        if width + c.len_utf8() > LINE_MAX {
            out.push_str("\r\n ");
            width = 1;
        }
        out.push(c);
        width += c.len_utf8();
    }
    out.push_str("\r\n");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_are_utc_without_punctuation() {
        let at = Timestamp::parse("2030-06-29T20:00:00+02:00").unwrap();
        assert_eq!(instant(at.0), "20300629T180000Z");
    }

    #[test]
    fn text_is_escaped_and_lines_are_folded() {
        assert_eq!(text("a;b,c\\d\ne\r"), "a\\;b\\,c\\\\d\\ne");
        let long = folded(&format!("SUMMARY:{}", "ü".repeat(100)));
        let lines: Vec<&str> = long.trim_end().split("\r\n").collect();
        assert!(
            lines.len() > 2 && lines.iter().all(|line| line.len() <= LINE_MAX),
            "{long}"
        );
        assert!(lines[1..].iter().all(|line| line.starts_with(' ')));
        let joined: String = long.trim_end().replace("\r\n ", "");
        assert_eq!(joined, format!("SUMMARY:{}", "ü".repeat(100)));
    }
}
