//! The shadow ledger: what came in and what became of it, drift with its evidence, corrections,
//! statements and their matching.

mod accounts;
mod alerts;
mod audit;
mod board;
mod checks;
mod correct;
mod corrections;
mod event;
mod events;
mod evidence;
mod letters;
mod lines;
mod links;
mod matches;
mod monitors;
mod overview;
mod profiles;
mod reconciliations;
mod references;
mod settings;
mod statements;
mod workbench;

use florin_platform::http::router::Routes;
use maud::{Markup, html};
use serde_json::Value;

use crate::Console;
use crate::api::{segment, shown, text};
use crate::ui::badge::{Mood, badge_as, mood_of};
use crate::ui::money::money;
use crate::ui::{link_short, time};

/// Where the API of this room is.
const API: &str = "/api/v1/shadow";

/// The routes of these pages.
pub fn routes(routes: Routes<Console>) -> Routes<Console> {
    let routes = overview::routes(routes);
    let routes = accounts::routes(routes);
    let routes = settings::routes(routes);
    let routes = correct::routes(routes);
    let routes = links::routes(routes);
    let routes = events::routes(routes);
    let routes = event::routes(routes);
    let routes = letters::routes(routes);
    let routes = board::routes(routes);
    let routes = checks::routes(routes);
    let routes = evidence::routes(routes);
    let routes = corrections::routes(routes);
    let routes = statements::routes(routes);
    let routes = lines::routes(routes);
    let routes = reconciliations::routes(routes);
    let routes = workbench::routes(routes);
    let routes = matches::routes(routes);
    let routes = profiles::routes(routes);
    let routes = references::routes(routes);
    let routes = monitors::routes(routes);
    let routes = alerts::routes(routes);
    audit::routes(routes)
}

fn page_of(kind: &str, id: &str) -> String {
    format!("/console/shadow/{kind}/{}", segment(id))
}

fn event_link(id: &str) -> Markup {
    link_short(&page_of("events", id), id)
}

fn correction_link(id: &str) -> Markup {
    link_short(&page_of("corrections", id), id)
}

fn line_link(id: &str) -> Markup {
    link_short(&page_of("lines", id), id)
}

fn account_link(account: &str, currency: &str) -> Markup {
    let path = page_of("accounts", account);
    let path = match currency.is_empty() {
        true => path,
        false => format!("{path}?currency={}", segment(currency)),
    };
    html! { a href=(path) { (account) } }
}

/// An amount of a row, in the currency of the row.
fn amount(row: &Value, member: &str) -> Markup {
    amount_in(row, member, text(row, "currency"))
}

/// An amount of a row; a dash where there is none.
fn amount_in(row: &Value, member: &str, currency: &str) -> Markup {
    match shown(row, member) {
        none if none.is_empty() => html! { span.none { "–" } },
        amount => money(&amount, currency),
    }
}

/// A time of the API in epoch milliseconds.
fn millis(row: &Value, member: &str) -> Markup {
    match row[member].as_i64() {
        Some(ms) => time::time(&time::rfc3339(ms.saturating_mul(1_000))),
        None => time::time(""),
    }
}

/// A state of this room as a badge.
fn state(word: &str) -> Markup {
    let mood = match word {
        "held_for_review" | "manual_review" | "unknown_account" | "gap" => Mood::Care,
        "MATCH" | "redriven" | "ok" | "first" => Mood::Good,
        "MISMATCH" => Mood::Bad,
        "ignored" | "discarded" | "undone" | "reversed" | "cleared" => Mood::Plain,
        word => mood_of(word),
    };
    badge_as(word, mood)
}

/// Tabs of a list: the words of one parameter, the first when nothing is chosen.
fn tabs(path: &str, name: &str, chosen: &str, words: &[(&str, &str)]) -> Markup {
    let first = words.first().map_or("", |(word, _)| word);
    let chosen = if chosen.is_empty() { first } else { chosen };
    html! {
        ul.tabs {
            @for (word, label) in words {
                li {
                    a href={ (path) "?" (name) "=" (word) }
                        aria-current=[(*word == chosen).then_some("page")] { (label) }
                }
            }
        }
    }
}
