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

/// An id or digest, short to the eye and whole when copied or hovered over.
pub fn short(id: &str) -> Markup {
    html! {
        @if id.len() > 18 {
            code.short title=(id) {
                (head(id, 8)) span.rest { (id.get(8..id.len() - 6).unwrap_or_default()) }
                (id.get(id.len() - 6..).unwrap_or_default())
            }
        } @else { code { (id) } }
    }
}

fn head(text: &str, length: usize) -> &str {
    text.get(..length).unwrap_or(text)
}

/// The same as a link.
pub fn link_short(href: &str, id: &str) -> Markup {
    html! { a href=(href) { (short(id)) } }
}
