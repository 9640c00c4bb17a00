//! `GET /console/shadow/drift`: the checks, and the way to begin one.

use florin_platform::http::router::Routes;
use maud::{Markup, html};

use super::{API, page_of, state};
use crate::Console;
use crate::api::{items, number, shown, text};
use crate::pages::listing::Listing;
use crate::reply::{Failure, Outcome, Page, Reply, words_of};
use crate::ui::money::{count, money};
use crate::ui::table::{Table, pager};
use crate::ui::{form, link_short, section, short, time, upload};
use crate::visit::{self, Visit, get};

const HERE: &str = "/console/shadow/drift";
const UPLOAD: &str = "/console/shadow/drift/upload";
/// Largest file of reported balances, in bytes (contract C1).
const LIMIT: usize = 256 << 20;
const COLUMNS: &[(&str, &str)] = &[
    ("Check", "checkId"),
    ("State", "state"),
    ("Mode", "mode"),
    ("Record", "logSeq"),
    ("Started by", "startedBy"),
    ("Started", "startedAt"),
    ("Finished", "finishedAt"),
    ("Accounts", "totalAccounts"),
    ("Done", "accountsDone"),
    ("Drifts", "driftsDetected"),
    ("Corrections", "correctionsGenerated"),
    ("Tolerated", "toleratedTotal"),
];

pub fn routes(routes: Routes<Console>) -> Routes<Console> {
    let routes = get(routes, HERE, show);
    visit::upload(routes, UPLOAD, LIMIT, begin)
}

async fn show(visit: Visit) -> Outcome {
    let list = Listing::new(&visit, format!("{API}/drift-checks")).exact();
    if visit.exports() {
        return list.export("drift-checks", COLUMNS).await;
    }
    let page = list.page().await?;
    let table = Table::new("Drift checks")
        .columns(&["Check", "State", "Mode"])
        .number("Accounts")
        .number("Differ")
        .number("Corrections")
        .number("Tolerated")
        .columns(&["By", "Started", "Finished"])
        .empty("No check was made yet.")
        .rows(items(&page, "items"), |check| {
            let id = text(check, "checkId");
            let path = page_of("drift", id);
            vec![
                link_short(&path, id),
                state(text(check, "state")),
                html! { (text(check, "mode")) },
                count(number(check, "totalAccounts")),
                html! { a href={ (path) "?status=MISMATCH#results" } { (count(number(check, "driftsDetected"))) } },
                count(number(check, "correctionsGenerated")),
                money(&shown(check, "toleratedTotal"), ""),
                short(text(check, "startedBy")),
                time::time(text(check, "startedAt")),
                time::time(text(check, "finishedAt")),
            ]
        });
    let content = html! {
        p.note {
            "A check puts balances that somebody reports beside the shadow's. Each difference is "
            "explained by records, or it is nobody's until a person looks."
        }
        (table)
        (pager(&visit, &page, true))
        @if visit.me.may("shadow:check") { (section("begin", "New check", ask(&visit))) }
    };
    Ok(Page::new("Drift", content).into())
}

fn ask(visit: &Visit) -> Markup {
    let modes = [
        ("", "as the installation says"),
        ("report", "only report"),
        ("propose", "propose corrections"),
    ];
    let fields = html! {
        (form::select("mode", "What it may do", &modes, ""))
        p.note {
            "CSV with a header line, or NDJSON: " code { "accountId" } ", " code { "reportedBalance" }
            ", and where needed " code { "asOf" } ", " code { "currency" } ", "
            code { "statementId" } ". At most 256 MiB."
        }
    };
    upload::form(visit, UPLOAD, ".csv,.ndjson,.jsonl,text/csv", fields)
}

async fn begin(visit: Visit) -> Outcome {
    let name = visit.query("name").to_ascii_lowercase();
    let lines = name.ends_with(".ndjson") || name.ends_with(".jsonl");
    let kind = match lines {
        true => "application/x-ndjson",
        false => "text/csv",
    };
    let (_, body) = visit.take_body();
    let ask = visit.api.post(format!("{API}/drift-check"));
    let ask = ask.query("mode", visit.query("mode"));
    match ask.body(kind, body).json().await {
        Ok(begun) => {
            let path = page_of("drift", text(&begun, "checkId"));
            Ok(Reply::done(path, "The file was taken."))
        }
        Err(error) => Err(match error.refusal() {
            Some(refusal) => Failure::Bad(words_of(refusal)),
            None => error.into(),
        }),
    }
}
