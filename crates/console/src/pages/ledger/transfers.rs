//! `GET /console/ledger/transfers`: all transfers, newest first; and the table of transfers that
//! other pages show too.

use florin_platform::http::router::Routes;
use maud::{Markup, html};
use serde_json::Value;

use super::{account_link, transfer_link};
use crate::Console;
use crate::api::{items, text};
use crate::reply::{Failure, Outcome, Page, Reply};
use crate::ui::badge::badge;
use crate::ui::export::Export;
use crate::ui::filter::Filter;
use crate::ui::money::Scales;
use crate::ui::table::{PAGE, Table, pager};
use crate::ui::time;
use crate::visit::{Visit, get};

const FILTERS: [&str; 7] = [
    "code",
    "mode",
    "state",
    "axis",
    "chainId",
    "reversalOf",
    "order",
];
/// Columns of a file of transfers.
pub const COLUMNS: &[(&str, &str)] = &[
    ("Transfer", "id"),
    ("Seq", "seq"),
    ("Mode", "mode"),
    ("State", "state"),
    ("Debit account", "debitAccountId"),
    ("Credit account", "creditAccountId"),
    ("Amount (minor units)", "amountMinor"),
    ("Asset", "asset"),
    ("Code", "code"),
    ("Effective", "effectiveAt"),
    ("Recorded", "recordedAt"),
    ("Chain", "chainId"),
    ("Resolves", "pendingId"),
    ("Reversal of", "reversalOf"),
    ("Description", "description"),
    ("Actor", "actor"),
];

pub fn routes(routes: Routes<Console>) -> Routes<Console> {
    get(routes, "/console/ledger/transfers", show)
}

/// A period of the query as the API takes it.
///
/// # Errors
/// A text that is no time.
pub fn period(visit: &Visit) -> Result<[(&'static str, String); 2], Failure> {
    let read = |name: &'static str| {
        let sent = time::sent(visit.query(name));
        let sent = sent.ok_or_else(|| Failure::Bad(format!("“{name}” is no time.")))?;
        Ok::<_, Failure>((name, sent))
    };
    Ok([read("from")?, read("to")?])
}

async fn show(visit: Visit) -> Outcome {
    if !visit.query("id").is_empty() {
        let path = super::transfer_path(visit.query("id"));
        return Ok(Reply::To { path, said: None });
    }
    let period = period(&visit)?;
    let mut query: Vec<(String, String)> = FILTERS
        .iter()
        .map(|name| ((*name).to_owned(), visit.query(name).to_owned()))
        .collect();
    if visit.query("order").is_empty() {
        query.push(("order".to_owned(), "desc".to_owned()));
    }
    query.extend(period.map(|(name, value)| (name.to_owned(), value)));
    let path = "/api/v1/ledger/transfers";
    if visit.exports() {
        let export = Export {
            name: "transfers",
            path: path.to_owned(),
            query,
            columns: COLUMNS,
        };
        return export.reply(&visit).await;
    }
    let pairs = query.iter().map(|(n, v)| (n.as_str(), v.as_str()));
    let ask = visit.api.get(path).queries(pairs);
    let ask = ask
        .query("limit", PAGE)
        .query("cursor", visit.query("cursor"));
    let page = ask.json().await?;
    let scales = Scales::load(&visit.api).await.unwrap_or_default();
    let filter = Filter::new(&visit)
        .text("id", "Id")
        .text("code", "Code")
        .choice("mode", "Mode", &["single", "pending", "post", "void"])
        .choice(
            "state",
            "State",
            &["recorded", "pending", "posted", "voided", "expired"],
        )
        .time("from", "From")
        .time("to", "To")
        .one_of("axis", "Time", &["recorded", "effective"]);
    let content = html! {
        (filter.render())
        (table(items(&page, "items"), &scales))
        (pager(&visit, &page, true))
    };
    Ok(Page::new("Transfers", content).into())
}

/// Transfers as a table.
pub fn table(transfers: &[Value], scales: &Scales) -> Table {
    Table::new("Transfers")
        .columns(&["Transfer", "Code", "State", "Debit", "Credit"])
        .number("Amount")
        .column("Recorded")
        .empty("No transfer matches.")
        .rows(transfers, |transfer| row(transfer, scales))
}

fn row(transfer: &Value, scales: &Scales) -> Vec<Markup> {
    let (recorded, effective) = (text(transfer, "recordedAt"), text(transfer, "effectiveAt"));
    let (mode, state) = (text(transfer, "mode"), text(transfer, "state"));
    vec![
        transfer_link(text(transfer, "id")),
        html! { (text(transfer, "code")) },
        html! {
            (badge(state))
            @if mode != "single" && mode != state { " " span.note { (mode) } }
        },
        account_link(text(transfer, "debitAccountId")),
        account_link(text(transfer, "creditAccountId")),
        scales.money(text(transfer, "amountMinor"), text(transfer, "asset")),
        html! {
            (time::time(recorded))
            @if effective != recorded { br; span.note { "effective " (time::time(effective)) } }
        },
    ]
}
