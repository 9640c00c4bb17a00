//! Tickets as a page to be printed: one sheet each, nothing loaded from elsewhere.

use super::holder::Holder;
use super::qr::{Picture, TooLong};
use super::row::Ticket;
use super::transfer::local;
use crate::gate::Facts;

/// A ticket with what is printed on it.
#[derive(Debug, Clone)]
pub struct Sheet<'a> {
    /// The ticket.
    pub ticket: &'a Ticket,
    /// Who is printed.
    pub holder: &'a Holder,
    /// The text of its QR code.
    pub token: &'a str,
}

const STYLE: &str = "body{font-family:system-ui,sans-serif;margin:0;color:#111}\
.ticket{max-width:40rem;margin:1rem auto;padding:1.5rem;border:1px solid #999;border-radius:.5rem}\
h1{font-size:1.4rem;margin:0 0 .25rem}dl{display:grid;grid-template-columns:auto 1fr;gap:.25rem 1rem}\
dt{color:#555}dd{margin:0}svg{width:16rem;height:16rem;display:block;margin:1rem auto}\
.number{text-align:center;font-family:monospace;letter-spacing:.1em}\
@media print{.ticket{border:0;margin:0;page-break-after:always}}";

/// The page.
///
/// # Errors
/// [`TooLong`], never for tokens.
pub fn html(facts: &Facts, sheets: &[Sheet<'_>]) -> Result<String, TooLong> {
    let mut body = String::new();
    for sheet in sheets {
        body.push_str(&ticket(facts, sheet)?);
    }
    Ok(format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width\"><title>{}</title><style>{STYLE}</style></head>\
         <body>{body}</body></html>",
        escape(&facts.event.title)
    ))
}

fn ticket(facts: &Facts, sheet: &Sheet<'_>) -> Result<String, TooLong> {
    let event = &facts.event;
    let mut rows = Vec::new();
    let mut row = |name: &str, value: String| {
        rows.push(format!("<dt>{name}</dt><dd>{}</dd>", escape(&value)));
    };
    if let (Some(starts_at), Some(ends_at)) = (event.starts_at, event.ends_at) {
        row("Begins", plain(&local(facts, starts_at)));
        row("Ends", plain(&local(facts, ends_at)));
    }
    if let Some(opens) = facts.entry(sheet.ticket.type_no).map(|entry| entry.from)
        && opens != i64::MIN
    {
        row("Entry from", plain(&local(facts, opens)));
    }
    if let Some(venue) = &event.venue {
        row(
            "Place",
            format!("{}, {}, {}", venue.name, venue.address, venue.city),
        );
    }
    if let Some(kind) = facts.types.get(&sheet.ticket.type_no) {
        row("Ticket", kind.name.clone());
    }
    if let Some(name) = &sheet.holder.name {
        row("Name", name.clone());
    }
    Ok(format!(
        "<section class=\"ticket\"><h1>{}</h1><dl>{}</dl>{}<p class=\"number\">{}</p></section>",
        escape(&event.title),
        rows.concat(),
        Picture::of(sheet.token)?.svg(),
        escape(&sheet.ticket.number),
    ))
}

/// `2030-06-29T20:00:00+02:00[Europe/Berlin]` as `2030-06-29 20:00 (Europe/Berlin)`.
fn plain(local: &str) -> String {
    let zone = local
        .split_once('[')
        .map_or("UTC", |(_, zone)| zone.trim_end_matches(']'));
    match (local.get(..10), local.get(11..16)) {
        (Some(day), Some(time)) => format!("{day} {time} ({zone})"),
        _ => local.to_owned(),
    }
}

/// Text between tags.
fn escape(text: &str) -> String {
    text.chars().fold(String::new(), |mut out, c| {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_break_out_of_the_page() {
        assert_eq!(escape("<b>\"A&B\"'"), "&lt;b&gt;&quot;A&amp;B&quot;&#39;");
    }

    #[test]
    fn times_are_those_of_the_place() {
        let local = "2030-06-29T20:00:00+02:00[Europe/Berlin]";
        assert_eq!(plain(local), "2030-06-29 20:00 (Europe/Berlin)");
    }
}
