//! The pieces that pages are made of.
//!
//! | piece | for |
//! |---|---|
//! | [`layout`], [`nav`] | the frame around a page; which pages there are |
//! | [`table`] | lists: columns, paging by cursor, what to say when empty |
//! | [`filter`] | the form above a list |
//! | [`export`] | a whole list as CSV |
//! | [`form`], [`confirm`] | forms with the session's token; actions that ask first |
//! | [`upload`] | a file with progress |
//! | [`progress`] | work that goes on: can be left and found again |
//! | [`money`], [`time`], [`badge`] | amounts, times, states |
//! | [`facts`] | a few named values; figures that lead to their rows |
//! | [`chart`] | pictures drawn on the server, each with its table |
//! | [`failure`] | what is not there, not allowed or away |

pub mod badge;
pub mod chart;
pub mod confirm;
pub mod export;
pub mod facts;
pub mod failure;
pub mod filter;
pub mod form;
pub mod layout;
pub mod money;
pub mod nav;
pub mod progress;
pub mod table;
pub mod time;
pub mod upload;

use maud::{Markup, html};

use crate::api::ApiError;

/// A part of a page with its heading. `id` is by what the script finds it again.
pub fn section(id: &str, title: &str, content: Markup) -> Markup {
    html! {
        section #(id) aria-labelledby={ (id) "-title" } {
            h2 id={ (id) "-title" } { (title) }
            (content)
        }
    }
}

/// A part that the script asks for again every `seconds`, as long as the page is visible.
pub fn live(id: &str, seconds: u32, content: Markup) -> Markup {
    html! { div #(id) data-live=(seconds) { (content) } }
}

/// What a call gave, shown by `show`; or why it gave nothing, in its place.
pub fn either<T>(result: &Result<T, ApiError>, show: impl FnOnce(&T) -> Markup) -> Markup {
    match result {
        Ok(value) => show(value),
        Err(error) => failure::note(error),
    }
}

/// An id or digest, short to the eye and whole when copied or hovered over. Words between colons
/// stay (`florin:wallet:`); of a long part among them the end is shown, since UUIDs made at nearly
/// the same time begin alike, and of an id of one part the beginning too.
pub fn short(id: &str) -> Markup {
    let long = |part: &str| part.len() > 18 && part.is_ascii();
    if !id.split(':').any(long) {
        return html! { code { (id) } };
    }
    let head = if id.contains(':') { 0 } else { 8 };
    html! {
        code.short title=(id) {
            @for (at, part) in id.split(':').enumerate() {
                @if at > 0 { ":" }
                @if long(part) {
                    (&part[..head]) span.rest { (&part[head..part.len() - 6]) }
                    (&part[part.len() - 6..])
                } @else { (part) }
            }
        }
    }
}

/// The same as a link.
pub fn link_short(href: &str, id: &str) -> Markup {
    html! { a href=(href) { (short(id)) } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_short_to_the_eye_and_whole_when_copied() {
        let text = |markup: Markup| {
            let mut out = String::new();
            for piece in markup.into_string().split('<') {
                out.push_str(piece.split_once('>').map_or(piece, |(_, text)| text));
            }
            out
        };
        for id in [
            "01977f2e-4b6a-7c3d-9e1f-2a3b4c5d6e7f",
            "florin:wallet:01977f2e-4b6a-7c3d-9e1f-2a3b4c5d6e7f",
            "florin:external:BRL",
            "florin:tk:payable:01977f2e-4b6a-7c3d-9e1f-2a3b4c5d6e7f:EUR",
            "naïve-ä-ö-ü-ß-naïve-ä-ö-ü-ß",
            "",
        ] {
            assert_eq!(text(short(id)), id);
        }
        let shown = short("florin:wallet:01977f2e-4b6a-7c3d-9e1f-2a3b4c5d6e7f").into_string();
        assert!(
            shown.contains("florin:wallet:<span class=\"rest\">"),
            "{shown}"
        );
        assert!(!short("florin:external:BRL").into_string().contains("rest"));
    }
}
