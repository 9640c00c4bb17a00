//! `GET /console/shadow/drift/{id}/evidence`: one account that differs, its rival explanations
//! side by side, each with the records that it rests on.

use florin_platform::http::router::Routes;
use futures_util::future::{join, join_all};
use maud::{Markup, Render, html};
use serde_json::Value;

use super::{
    API, account_link, amount, correction_link, event_link, line_link, millis, page_of, state,
};
use crate::Console;
use crate::api::{ApiError, Client, flag, items, number, segment, text};
use crate::pages::listing::Listing;
use crate::reply::{Failure, Outcome, Page};
use crate::ui::facts::{Facts, Figure, figures};
use crate::ui::table::Table;
use crate::ui::{link_short, section, short};
use crate::visit::{Visit, get};

/// Accounts that are asked for at a time while one is looked for.
const STEP: &str = "500";
/// Pages that are looked through at most.
const PAGES: usize = 20;
/// Explanations that are lined up.
const RIVALS: usize = 12;
/// Records of one explanation that are fetched.
const RECORDS: usize = 8;

pub fn routes(routes: Routes<Console>) -> Routes<Console> {
    get(routes, "/console/shadow/drift/{id}/evidence", show)
}

async fn show(visit: Visit) -> Outcome {
    let id = visit.param("id").to_owned();
    let found = find(&visit, &id).await?.ok_or(Failure::NotFound)?;
    let all = explanations(&found);
    let told = all.iter().take(RIVALS);
    let told = join_all(told.map(|one| records(&visit.api, one))).await;
    let rivals = html! {
        @if all.is_empty() {
            p.empty { "No record explains this difference." }
        }
        div.columns {
            @for (at, ((kind, one), found)) in all.iter().zip(&told).enumerate() {
                (explanation(at, kind, one, found))
            }
        }
        @if all.len() > told.len() {
            p.note { (all.len() - told.len()) " more explanations are possible." }
        }
    };
    let content = html! {
        (sums(&found))
        p.notice { (text(&found, "message")) }
        (facts(&id, &found))
        (section("rivals", "Explanations side by side", rivals))
    };
    let title = format!("Evidence for {}", text(&found, "accountId"));
    let beside = state(text(&found, "mismatchType"));
    Ok(Page::new(title, content).beside(beside).into())
}

/// The account among those of the check that differ.
async fn find(visit: &Visit, id: &str) -> Result<Option<Value>, ApiError> {
    let path = format!("{API}/drift-checks/{}/results", segment(id));
    let list = Listing::new(visit, path).with("status", "MISMATCH").exact();
    let (account, currency) = (visit.query("accountId"), visit.query("currency"));
    let mut cursor = visit.query("cursor").to_owned();
    for _ in 0..PAGES {
        let page = list.first(STEP, &cursor).await?;
        let is_it = |row: &&Value| {
            let same = currency.is_empty() || text(row, "currency") == currency;
            text(row, "accountId") == account && same
        };
        if let Some(row) = items(&page, "items").iter().find(is_it) {
            return Ok(Some(row.clone()));
        }
        text(&page, "nextCursor").clone_into(&mut cursor);
        if cursor.is_empty() {
            return Ok(None);
        }
    }
    Ok(None)
}

/// The first explanation, its rivals, and those that arithmetic alone allows.
fn explanations(found: &Value) -> Vec<(&'static str, &Value)> {
    let first = &found["explanation"];
    let mut all = Vec::new();
    let names_records = !items(first, "events").is_empty() || !items(first, "lines").is_empty();
    if names_records || text(first, "class") == "timing" {
        all.push(("First", first));
    }
    all.extend(items(first, "others").iter().map(|one| ("Rival", one)));
    let weak = items(first, "patternRivals");
    all.extend(weak.iter().map(|one| ("By arithmetic only", one)));
    all
}

type Record = (String, Result<Value, ApiError>);

struct Records {
    events: Vec<Record>,
    lines: Vec<Record>,
}

async fn records(api: &Client, one: &(&'static str, &Value)) -> Records {
    let fetch = |kind: &'static str, id: String| async move {
        let path = format!("{API}/{kind}/{}", segment(&id));
        let found = api.get(path).query("money", "string").json().await;
        (id, found)
    };
    let ids = |member: &str| {
        let all = items(one.1, member).iter().filter_map(Value::as_str);
        all.take(RECORDS).map(str::to_owned).collect::<Vec<_>>()
    };
    let events = ids("events").into_iter().map(|id| fetch("events", id));
    let lines = ids("lines").into_iter().map(|id| fetch("lines", id));
    let (events, lines) = join(join_all(events), join_all(lines)).await;
    Records { events, lines }
}

fn sums(found: &Value) -> Markup {
    figures(&[
        Figure::new("Reported", amount(found, "reportedBalance")),
        Figure::new("Shadow", amount(found, "shadowBalance")),
        Figure::new("Difference", amount(found, "difference")),
        Figure::new("Pending corrections", amount(found, "pendingCorrections"))
            .href("/console/shadow/corrections"),
    ])
}

fn facts(id: &str, found: &Value) -> Facts {
    let made = text(found, "correctionEventId");
    let facts = Facts::new()
        .add(
            "Account",
            account_link(text(found, "accountId"), text(found, "currency")),
        )
        .add("Check", link_short(&page_of("drift", id), id))
        .add("As of", millis(found, "asOf"))
        .add_text("Arithmetic", text(found, "explanation.arithmetic"))
        .add(
            "Search",
            match flag(found, "explanation.bounded") {
                true => "a bound ended it",
                false => "was complete",
            },
        );
    match made.is_empty() {
        true => facts,
        false => facts.add(
            "Correction",
            html! { (correction_link(made)) " " (state(text(found, "correctionStatus"))) },
        ),
    }
}

fn remedy(class: &str) -> &'static str {
    match class {
        "timing" => "None: the balances were equal at another instant.",
        "missing" => "Redrive the event, or correct with the date of the line.",
        "duplicate" => "The opposite entry at the later one's time.",
        "wrong_sign" => "Twice the amount, opposite.",
        "wrong_amount" | "transposed_digits" => "The difference of the two amounts.",
        "wrong_account" => "A pair of entries, one in each book.",
        _ => "People decide.",
    }
}

fn explanation(at: usize, kind: &str, one: &Value, found: &Records) -> Markup {
    let class = text(one, "class");
    html! {
        section.panel aria-labelledby={ "rival-" (at) } {
            h3 id={ "rival-" (at) } { (class.replace('_', " ")) " " span.note { (kind) } }
            p {
                @match text(one, "basis") {
                    "record" => { "A second record confirms it." }
                    "pattern" => { "Arithmetic alone." }
                    _ => {}
                }
                " " span.note { "Remedy: " (remedy(class)) }
            }
            @if !found.events.is_empty() { (events(&found.events)) }
            @if !found.lines.is_empty() { (lines(&found.lines)) }
            @let left = items(one, "events").len().saturating_sub(RECORDS)
                + items(one, "lines").len().saturating_sub(RECORDS);
            @if left > 0 { p.note { "And " (left) " more records." } }
        }
    }
}

fn events(records: &[Record]) -> Markup {
    let mut table = Table::new("Events")
        .columns(&["Event", "Type"])
        .number("Amount")
        .columns(&["State", "Counts at", "Reference"]);
    for (id, found) in records {
        table.row(match found {
            Ok(event) => vec![
                event_link(id),
                html! { (text(event, "type")) },
                amount(event, "amount"),
                state(text(event, "state")),
                millis(event, "timestamp"),
                html! { (text(event, "reference")) },
            ],
            // Not every record is an event: a parked letter can be evidence too.
            Err(_) => vec![
                short(id),
                html! { span.note { "not recorded as an event" } },
                html! {},
                html! { a href="/console/shadow/dead-letters?status=parked" { "dead letters" } },
                html! {},
                html! {},
            ],
        });
    }
    table.render()
}

fn lines(records: &[Record]) -> Markup {
    let mut table = Table::new("Statement lines")
        .column("Line")
        .number("Amount")
        .columns(&["State", "Booked", "Reference"]);
    for (id, found) in records {
        let unread = Value::Null;
        let line = found.as_ref().unwrap_or(&unread);
        let references = ["endToEndId", "customerRef", "bankRef", "servicerRef"];
        let references = references.map(|name| text(&line["references"], name));
        let reference = references.into_iter().find(|one| !one.is_empty());
        table.row(vec![
            line_link(id),
            amount(line, "amount"),
            state(text(line, "status")),
            html! { span.day { (text(line, "bookingDate")) } @if number(line, "occurrence") > 1 { " " span.note { "№ " (number(line, "occurrence")) } } },
            html! { (reference.unwrap_or_default()) },
        ]);
    }
    table.render()
}
