//! `GET /console/ledger/trial-balance`: debits and credits of every asset, and their difference,
//! which is zero, now or as of any pair of times.

use florin_platform::http::router::Routes;
use maud::{Markup, html};
use serde_json::Value;

use crate::Console;
use crate::api::{items, number, text};
use crate::reply::{Failure, Outcome, Page};
use crate::ui::badge::Mood;
use crate::ui::export::cell;
use crate::ui::filter::Filter;
use crate::ui::money::{Scales, count};
use crate::ui::table::Table;
use crate::ui::time;
use crate::visit::{Visit, get};

use axum::response::Response;
use http::HeaderValue;
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};

use crate::reply::Reply;

const MEMBERS: [&str; 7] = [
    "asset",
    "accounts",
    "debitsPosted",
    "creditsPosted",
    "debitsPending",
    "creditsPending",
    "difference",
];

pub fn routes(routes: Routes<Console>) -> Routes<Console> {
    get(routes, "/console/ledger/trial-balance", show)
}

async fn show(visit: Visit) -> Outcome {
    let read = |name: &str| {
        let sent = time::sent(visit.query(name));
        sent.ok_or_else(|| Failure::Bad(format!("“{name}” is no time.")))
    };
    let (effective, recorded) = (read("effectiveAt")?, read("recordedAt")?);
    let ask = visit.api.get("/api/v1/ledger/trial-balance");
    let ask = ask
        .query("effectiveAt", &effective)
        .query("recordedAt", &recorded);
    let found = ask.json().await?;
    if visit.exports() {
        return Ok(file(&found));
    }
    let scales = Scales::load(&visit.api).await.unwrap_or_default();
    let rows = items(&found, "assets");
    let filter = Filter::new(&visit)
        .time("effectiveAt", "Effective until")
        .time("recordedAt", "Recorded until");
    let content = html! {
        (verdict(rows))
        (filter.render())
        (table(rows, &scales))
        nav.pager aria-label="File" {
            span.note { "As of record " (count(number(&found, "asOfSeq"))) "." }
            a.export href=(visit.here_with(&[("export", "csv")])) download { "Export CSV" }
        }
    };
    Ok(Page::new("Trial balance", content).into())
}

fn verdict(rows: &[Value]) -> Markup {
    let wrong = rows.iter().filter(|row| text(row, "difference") != "0");
    let wrong: Vec<&str> = wrong.map(|row| text(row, "asset")).collect();
    html! {
        @if wrong.is_empty() {
            p.notice.good role="status" {
                strong { "It balances." } " In every asset debits equal credits; the difference is 0."
            }
        } @else {
            p.notice.bad role="alert" {
                strong { "It does not balance: " (wrong.join(", ")) "." }
                " Stop writing and run " code { "florin ledger verify" } "."
            }
        }
    }
}

fn table(rows: &[Value], scales: &Scales) -> Table {
    let mut table = Table::new("Sums over all accounts")
        .column("Asset")
        .number("Accounts")
        .number("Posted debits")
        .number("Posted credits")
        .number("Pending debits")
        .number("Pending credits")
        .number("Difference")
        .empty("There are no accounts yet.");
    for row in rows {
        let asset = text(row, "asset");
        let difference = text(row, "difference");
        let mood = if difference == "0" {
            Mood::Good
        } else {
            Mood::Bad
        };
        let money = |member: &str| scales.money(text(row, member), asset);
        let accounts = format!("/console/ledger/accounts?asset={asset}");
        table.row_as(
            mood.class(),
            vec![
                html! { strong { (asset) } },
                html! { a href=(accounts) { (count(number(row, "accounts"))) } },
                money("debitsPosted"),
                money("creditsPosted"),
                money("debitsPending"),
                money("creditsPending"),
                html! { strong { (scales.money(difference, asset)) } },
            ],
        );
    }
    table
}

fn file(found: &Value) -> Reply {
    let mut out = MEMBERS.join(",") + "\r\n";
    for row in items(found, "assets") {
        let cells = MEMBERS.map(|member| cell(&crate::api::shown(row, member)));
        out.push_str(&(cells.join(",") + "\r\n"));
    }
    let mut response = Response::new(axum::body::Body::from(out));
    let headers = response.headers_mut();
    let csv = HeaderValue::from_static("text/csv; charset=utf-8");
    headers.insert(CONTENT_TYPE, csv);
    let name = HeaderValue::from_static("attachment; filename=\"trial-balance.csv\"");
    headers.insert(CONTENT_DISPOSITION, name);
    Reply::Raw(response)
}
