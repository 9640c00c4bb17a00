//! Postings: what was posted in the ledger for an event or an order, transfer by transfer.
//!
//! The API lists postings of all kinds in order of time. Asked for one kind, this page reads on
//! until it has enough of it, or has looked at [`LOOKED_AT`] postings, and says how many it saw.

use florin_platform::http::router::Routes;
use futures_util::future::join;
use maud::{Markup, html};
use serde_json::{Value, json};

use super::{api_event, csv, event_of, event_page};
use crate::Console;
use crate::api::{ApiError, items, text};
use crate::pages::ledger::{account_link, transfer_link};
use crate::reply::Outcome;
use crate::ui::money::{count, money};
use crate::ui::table::{Table, pager};
use crate::ui::{form, time};
use crate::visit::{Visit, get};

/// Postings that are looked at for one page of one kind.
const LOOKED_AT: usize = 5_000;
/// Postings of one kind on a page.
const SHOWN: usize = 50;
/// Kinds and what they mean.
const KINDS: [(&str, &str); 15] = [
    ("P1", "card money in"),
    ("P2", "sale"),
    ("P2o", "sale, fees by the organiser"),
    ("P3", "wallet payment"),
    ("P4", "provider's cost"),
    ("P5", "refund decided"),
    ("P6", "refund done"),
    ("P7", "late or double payment returned"),
    ("P8", "payout started"),
    ("P9", "payout ended"),
    ("P10", "dispute opened"),
    ("P11", "dispute won"),
    ("P12", "dispute lost"),
    ("P13", "provider paid the platform"),
    ("P14", "tax remitted"),
];
const COLUMNS: csv::Columns = &[
    ("Posting", "posting"),
    ("Component", "component"),
    ("Transfer", "id"),
    ("Chain", "chainId"),
    ("Record", "seq"),
    ("Debit", "debitAccountId"),
    ("Credit", "creditAccountId"),
    ("Amount", "amount"),
    ("Currency", "currency"),
    ("Recorded", "recordedAt"),
];

pub fn routes(routes: Routes<Console>) -> Routes<Console> {
    get(routes, "/console/ticketing/events/{id}/postings", show)
}

/// The transfers of a posting, each with what the posting says of all.
fn transfers(posting: &Value) -> Vec<Value> {
    let of = |transfer: &Value| {
        let mut row = transfer.clone();
        for member in ["posting", "chainId", "seq", "currency", "recordedAt"] {
            row[member] = posting[member].clone();
        }
        row
    };
    items(posting, "transfers").iter().map(of).collect()
}

/// All transfers of a list of postings as a file.
///
/// # Errors
/// Refusals of the first page.
pub async fn export(name: &'static str, path: String, visit: &Visit) -> Outcome {
    let list = csv::Nested {
        name,
        path,
        columns: COLUMNS,
        rows: transfers,
    };
    list.reply(visit).await
}

async fn show(visit: Visit) -> Outcome {
    let path = api_event(&visit, "/postings");
    if visit.exports() {
        return export("event-postings", path, &visit).await;
    }
    let kind = visit.query("posting");
    let (event, found) = join(event_of(&visit), of_kind(&visit, &path, kind)).await;
    let (event, (found, page, seen)) = (event?, found?);
    let names: Vec<String> = KINDS
        .iter()
        .map(|(kind, words)| format!("{kind} {words}"))
        .collect();
    let mut choice = vec![("", "all")];
    choice.extend(
        KINDS
            .iter()
            .map(|(kind, _)| *kind)
            .zip(names.iter().map(String::as_str)),
    );
    let content = html! {
        form.filter method="get" action=(visit.path()) role="search" {
            (form::select("posting", "Posting", &choice, kind))
            div.buttons { button type="submit" { "Show" } a href=(visit.path()) { "Reset" } }
        }
        (table(&found))
        @if !kind.is_empty() {
            p.note { "Found among " (count(seen as u64)) " postings, oldest first; the file has all kinds." }
        }
        (pager(&visit, &page, true))
    };
    Ok(event_page(&visit, &event, "/postings", content).into())
}

/// Postings of a kind, the API's page they end with, and how many were looked at.
async fn of_kind(
    visit: &Visit,
    path: &str,
    kind: &str,
) -> Result<(Vec<Value>, Value, usize), ApiError> {
    let mut cursor = visit.query("cursor").to_owned();
    let (mut found, mut seen) = (Vec::new(), 0);
    // Of one kind whole pages are shown, so that the next one begins where this one ended.
    let limit = if kind.is_empty() { "50" } else { "500" };
    loop {
        let ask = visit.api.get(path).query("limit", limit);
        let page = ask.query("cursor", &cursor).json().await?;
        let rows = items(&page, "items");
        seen += rows.len();
        let fits = |row: &&Value| kind.is_empty() || text(row, "posting") == kind;
        found.extend(rows.iter().filter(fits).cloned());
        text(&page, "nextCursor").clone_into(&mut cursor);
        let enough = kind.is_empty() || found.len() >= SHOWN || seen >= LOOKED_AT;
        if cursor.is_empty() || enough {
            return Ok((found, json!({"nextCursor": page["nextCursor"]}), seen));
        }
    }
}

/// Postings as a table, a row for each transfer.
pub fn table(postings: &[Value]) -> Table {
    let rows: Vec<Value> = postings.iter().flat_map(transfers).collect();
    Table::new("Postings")
        .columns(&["Posting", "Part", "Debit", "Credit"])
        .number("Amount")
        .columns(&["Transfer", "Recorded"])
        .empty("Nothing was posted.")
        .rows(&rows, |row| {
            vec![
                kind(text(row, "posting")),
                html! { (text(row, "component").replace('_', " ")) },
                account_link(text(row, "debitAccountId")),
                account_link(text(row, "creditAccountId")),
                money(text(row, "amount"), text(row, "currency")),
                transfer_link(text(row, "id")),
                time::time(text(row, "recordedAt")),
            ]
        })
}

fn kind(posting: &str) -> Markup {
    let words = KINDS.iter().find(|(kind, _)| *kind == posting);
    html! { (posting) " " span.note { (words.map_or("", |(_, words)| words)) } }
}
