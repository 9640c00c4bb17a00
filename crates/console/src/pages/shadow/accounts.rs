//! `GET /console/shadow/accounts` and `/{id}`: books, a book's balance with what it rests on, and
//! its entries in their order. Both time axes: what counted up to an instant (`asOf`), and what
//! was known at another (`knownAt`).

use florin_platform::http::router::Routes;
use futures_util::future::join;
use maud::{Markup, html};
use serde_json::Value;

use super::settings::settings_path;
use super::{API, account_link, amount, correct, event_link, millis, page_of, state};
use crate::Console;
use crate::api::{ApiError, flag, items, number, segment, shown, text};
use crate::pages::listing::Listing;
use crate::reply::{Failure, Outcome, Page, Reply};
use crate::ui::badge::{Mood, badge_as};
use crate::ui::facts::{Facts, Figure, figures};
use crate::ui::filter::Filter;
use crate::ui::money::count;
use crate::ui::table::{Table, pager};
use crate::ui::{either, section, short, time};
use crate::visit::{Visit, get};

const BOOKS: &[(&str, &str)] = &[
    ("Account", "accountId"),
    ("Currency", "currency"),
    ("Balance", "balance"),
    ("Last event", "lastEvent"),
    ("Entries", "entries"),
    ("Events", "events"),
    ("Floor", "floor"),
    ("Policy", "policy"),
    ("Linked", "linked"),
];
const ENTRIES: &[(&str, &str)] = &[
    ("Event", "eventId"),
    ("Type", "type"),
    ("Amount", "amount"),
    ("Time (epoch ms)", "timestamp"),
    ("Recorded", "recordedAt"),
    ("Record", "logSeq"),
    ("Correction", "isCorrection"),
    ("State", "state"),
    ("Final", "final"),
    ("Running balance", "runningBalance"),
    ("Reference", "reference"),
    ("Description", "description"),
    ("Source", "source"),
    ("Cause", "causeEventId"),
];

pub fn routes(routes: Routes<Console>) -> Routes<Console> {
    let routes = get(routes, "/console/shadow/accounts", list);
    get(routes, "/console/shadow/accounts/{id}", show)
}

async fn list(visit: Visit) -> Outcome {
    if !visit.query("id").is_empty() {
        let path = page_of("accounts", visit.query("id"));
        return Ok(Reply::To { path, said: None });
    }
    let list = Listing::new(&visit, format!("{API}/accounts")).exact();
    if visit.exports() {
        return list.export("books", BOOKS).await;
    }
    let page = list.page().await?;
    let filter = Filter::new(&visit).text("id", "Account");
    let table = Table::new("Books")
        .column("Account")
        .number("Balance")
        .column("Last event")
        .number("Entries")
        .number("Events")
        .number("Floor")
        .columns(&["Policy", ""])
        .empty("No book was begun yet.")
        .rows(items(&page, "items"), |book| {
            vec![
                account_link(text(book, "accountId"), text(book, "currency")),
                amount(book, "balance"),
                event_link(text(book, "lastEvent")),
                count(number(book, "entries")),
                count(number(book, "events")),
                floor(book),
                html! { (text(book, "policy")) },
                html! { @if flag(book, "linked") { (badge_as("linked", Mood::Plain)) } },
            ]
        });
    let content = html! { (filter.render()) (table) (pager(&visit, &page, true)) };
    Ok(Page::new("Books", content).into())
}

fn floor(book: &Value) -> Markup {
    match book["floor"].is_null() {
        true => html! { span.note { "none" } },
        false => amount(book, "floor"),
    }
}

async fn show(visit: Visit) -> Outcome {
    let id = visit.param("id");
    let path = format!("{API}/accounts/{}", segment(id));
    let instant = |name: &str| {
        let given = time::sent(visit.query(name));
        given.ok_or_else(|| Failure::Bad("That is no time.".to_owned()))
    };
    let (as_of, known_at) = (instant("asOf")?, instant("knownAt")?);
    let list = Listing::new(&visit, format!("{path}/entries")).exact();
    let list = list.filters(&["currency", "state"]).period()?;
    let list = list.with("asOf", &as_of).with("knownAt", &known_at);
    if visit.exports() {
        return list.export("entries", ENTRIES).await;
    }
    let balance = visit.api.get(format!("{path}/shadow-balance"));
    let balance = balance
        .query("currency", visit.query("currency"))
        .query("asOf", &as_of)
        .query("knownAt", &known_at)
        .query("detail", "true")
        .query("money", "string")
        .json();
    let (balance, entries) = join(balance, list.page()).await;
    let balance = balance?;
    let currency = text(&balance, "currency");
    let content = html! {
        (totals(id, &balance))
        (facts(&balance))
        (section("entries", "Entries", entries_of(&visit, &entries, currency)))
    };
    let beside = html! {
        a href=(settings_path(id, currency)) { "Settings" } " "
        (correct::button(&visit, id, currency))
    };
    Ok(Page::new(format!("Book of {id}"), content)
        .beside(beside)
        .into())
}

fn totals(id: &str, balance: &Value) -> Markup {
    let currency = text(balance, "currency");
    let events = |state: &str| {
        let (id, currency) = (segment(id), segment(currency));
        format!("/console/shadow/events?accountId={id}&currency={currency}&state={state}")
    };
    let part = |name: &str, member: &str, state: &str| {
        let part = &balance[member];
        let sum = super::amount_in(part, "sum", currency);
        let note = format!("{} events", shown(part, "count"));
        Figure::new(name, sum).href(events(state)).note(note)
    };
    figures(&[
        Figure::new("Balance", amount(balance, "balance"))
            .href("#entries")
            .note(format!("{} entries", shown(balance, "entries"))),
        part("Held", "held", "held"),
        part("Held for review", "review", "held_for_review"),
        part("Rejected", "rejected", "rejected"),
    ])
}

fn facts(balance: &Value) -> Facts {
    let last = text(balance, "lastEvent");
    let facts = Facts::new()
        .add_text("Currency", text(balance, "currency"))
        .add("Floor", floor(balance))
        .add_text("Policy", text(balance, "policy"))
        .add(
            "As of",
            asked(
                millis(balance, "asOf"),
                balance["asOf"].is_null(),
                "all that is dated later too",
            ),
        )
        .add(
            "Known at",
            asked(
                time::time(text(balance, "knownAt")),
                balance["knownAt"].is_null(),
                "now",
            ),
        )
        .add("Open until", time::time(text(balance, "openUntil")))
        .add("As of record", count(number(balance, "logSeq")))
        .add("Digest", short(text(balance, "digest")));
    match last.is_empty() {
        true => facts,
        false => facts.add("Last event", event_link(last)),
    }
}

/// An instant that was asked for, or what holds without one.
fn asked(instant: Markup, none: bool, unless: &str) -> Markup {
    match none {
        true => html! { span.note { (unless) } },
        false => instant,
    }
}

fn entries_of(visit: &Visit, entries: &Result<Value, ApiError>, currency: &str) -> Markup {
    let filter = Filter::new(visit)
        .text("currency", "Currency")
        .choice(
            "state",
            "State",
            &["applied", "held", "held_for_review", "rejected"],
        )
        .time("from", "Entries from")
        .time("to", "Entries before")
        .time("asOf", "Balance as of")
        .time("knownAt", "As it was known at");
    html! {
        (filter.render())
        (either(entries, |page| html! {
            (Table::new("Entries")
                .columns(&["Event", "Type"])
                .number("Amount")
                .number("Running balance")
                .columns(&["State", "Counts at", "Recorded", "Reference"])
                .empty("No entry matches.")
                .rows(items(page, "items"), |entry| vec![
                    event_link(text(entry, "eventId")),
                    html! { (text(entry, "type")) @if flag(entry, "isCorrection") { " " span.note { "correction" } } },
                    super::amount_in(entry, "amount", currency),
                    super::amount_in(entry, "runningBalance", currency),
                    html! { (state(text(entry, "state"))) @if !flag(entry, "final") { " " span.note { "open" } } },
                    millis(entry, "timestamp"),
                    time::time(text(entry, "recordedAt")),
                    html! { (text(entry, "reference")) },
                ]))
            (pager(visit, page, true))
        }))
    }
}
