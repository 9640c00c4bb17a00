//! `GET /console/shadow/drift/{id}`: one check as a board: what is explained, what is not, and
//! every account of it.

use std::collections::BTreeMap;

use florin_platform::http::router::Routes;
use futures_util::future::join;
use maud::{Markup, Render, html};
use serde_json::Value;

use super::{API, account_link, amount, correction_link, millis, page_of, state};
use crate::Console;
use crate::api::{ApiError, flag, items, number, segment, shown, text};
use crate::pages::listing::Listing;
use crate::reply::{Outcome, Page};
use crate::ui::chart::{Bar, bars};
use crate::ui::facts::{Facts, Figure, figures};
use crate::ui::filter::Filter;
use crate::ui::money::{count, money};
use crate::ui::progress::Progress;
use crate::ui::table::{Table, pager};
use crate::ui::{either, section, short, time};
use crate::visit::{Visit, get};

/// Accounts that differ on the board.
const BOARD: &str = "200";
/// The classes of evidence (contract C2).
const CLASSES: &[&str] = &[
    "timing",
    "missing",
    "duplicate",
    "wrong_sign",
    "wrong_amount",
    "transposed_digits",
    "wrong_account",
    "subset",
    "unexplained",
];
const TYPES: &[&str] = &[
    "none",
    "unknown_account",
    "manual_review",
    "missing_credit",
    "incorrect_debit",
];
const COLUMNS: &[(&str, &str)] = &[
    ("Account", "accountId"),
    ("Currency", "currency"),
    ("As of (epoch ms)", "asOf"),
    ("Reported", "reportedBalance"),
    ("Shadow", "shadowBalance"),
    ("Difference", "difference"),
    ("Pending corrections", "pendingCorrections"),
    ("Status", "status"),
    ("Type", "mismatchType"),
    ("Class", "explanation.class"),
    ("Basis", "explanation.basis"),
    ("Rivals", "explanation.rivals"),
    ("Arithmetic", "explanation.arithmetic"),
    ("Correction", "correctionEventId"),
    ("Correction's state", "correctionStatus"),
    ("Message", "message"),
];

pub fn routes(routes: Routes<Console>) -> Routes<Console> {
    get(routes, "/console/shadow/drift/{id}", show)
}

async fn show(visit: Visit) -> Outcome {
    let id = visit.param("id").to_owned();
    let path = format!("{API}/drift-checks/{}", segment(&id));
    let results = Listing::new(&visit, format!("{path}/results")).exact();
    let list = results.filters(&["status", "mismatchType", "class"]);
    if visit.exports() {
        return list.export("drift-results", COLUMNS).await;
    }
    let check = visit.api.get(path.as_str()).query("money", "string");
    let check = check.json().await?;
    let done = text(&check, "state") == "done";
    if !done || visit.part() == Some("progress") {
        let content = progress(&check, done);
        return Ok(Page::new("Drift check", content).beside(short(&id)).into());
    }
    let differing = Listing::new(&visit, format!("{path}/results")).exact();
    let differing = differing.with("status", "MISMATCH");
    let (board, page) = join(differing.first(BOARD, ""), list.page()).await;
    let content = html! {
        (totals(&check))
        (facts(&check))
        (either(&board, |page| sides(&id, page)))
        (section("results", "All accounts", all(&visit, &id, &page)))
    };
    let beside = html! { (short(&id)) " " (state(text(&check, "state"))) };
    Ok(Page::new("Drift check", content).beside(beside).into())
}

fn progress(check: &Value, ended: bool) -> Markup {
    let all = number(check, "totalAccounts");
    let path = page_of("drift", text(check, "checkId"));
    let now = Progress {
        state: text(check, "state"),
        ended,
        parts: (all > 0).then_some((number(check, "accountsDone"), all)),
        note: html! {
            @if ended { p { a href=(path) { "Show the result" } } }
            @else { p.note { "You may leave this page; the check goes on." } }
        },
    };
    html! { (now.render("progress")) (facts(check)) }
}

fn totals(check: &Value) -> Markup {
    let tolerated = money(&shown(check, "toleratedTotal"), "");
    figures(&[
        Figure::new("Accounts", count(number(check, "totalAccounts"))).href("?#results"),
        Figure::new("Differ", count(number(check, "driftsDetected")))
            .href("?status=MISMATCH#results"),
        Figure::new(
            "Corrections made",
            count(number(check, "correctionsGenerated")),
        )
        .href("/console/shadow/corrections"),
        Figure::new("Tolerated in sum", tolerated).note("nothing was posted for it"),
    ])
}

fn facts(check: &Value) -> Facts {
    let mut facts = Facts::new()
        .add_text("Mode", text(check, "mode"))
        .add("Started by", short(text(check, "startedBy")))
        .add("Started", time::time(text(check, "startedAt")))
        .add("Finished", time::time(text(check, "finishedAt")))
        .add("Saw the log up to record", count(number(check, "logSeq")))
        .add_text("Trace", text(check, "traceId"));
    if let Some(sums) = check["toleratedByCurrency"].as_object() {
        for (currency, _) in sums {
            let sum = shown(&check["toleratedByCurrency"], currency);
            facts = facts.add(&format!("Tolerated in {currency}"), money(&sum, currency));
        }
    }
    facts
}

/// One explanation, or none that a machine may act on.
fn is_explained(row: &Value) -> bool {
    let class = text(row, "explanation.class");
    !matches!(class, "" | "unexplained" | "subset")
        && number(row, "explanation.rivals") == 0
        && text(row, "mismatchType") != "manual_review"
}

fn sides(id: &str, page: &Value) -> Markup {
    let rows = items(page, "items");
    let mut classes: BTreeMap<&str, u32> = BTreeMap::new();
    for row in rows {
        let class = text(row, "explanation.class");
        let class = if class.is_empty() {
            "unexplained"
        } else {
            class
        };
        *classes.entry(class).or_default() += 1;
    }
    let by_class: Vec<Bar> = classes
        .into_iter()
        .map(|(class, found)| {
            let mood = match class {
                "unexplained" => "bad",
                "subset" => "care",
                _ => "good",
            };
            Bar::new(
                class.replace('_', " "),
                f64::from(found),
                count(found.into()),
            )
            .href(format!("?class={class}#results"))
            .mood(mood)
        })
        .collect();
    let (explained, open): (Vec<&Value>, Vec<&Value>) =
        rows.iter().partition(|row| is_explained(row));
    html! {
        @if !by_class.is_empty() { (bars("What explains the differences", &by_class)) }
        @if !text(page, "nextCursor").is_empty() {
            p.note { "The board shows the first " (BOARD) " accounts that differ; all stand below." }
        }
        div.columns {
            (section("explained", "Explained", side(id, &explained, "Nothing is explained.")))
            (section(
                "unexplained",
                "Unexplained or ambiguous",
                side(id, &open, "Nothing is left to people."),
            ))
        }
    }
}

fn side(id: &str, rows: &[&Value], empty: &str) -> Markup {
    let mut table = Table::new("Accounts")
        .column("Account")
        .number("Difference")
        .columns(&["Evidence", "Correction"])
        .empty(empty);
    for row in rows {
        table.row(vec![
            account_link(text(row, "accountId"), text(row, "currency")),
            amount(row, "difference"),
            evidence(id, row, ""),
            correction(row),
        ]);
    }
    table.render()
}

/// What explains a row, as a link to the records.
fn evidence(id: &str, row: &Value, cursor: &str) -> Markup {
    let class = text(row, "explanation.class");
    let rivals = number(row, "explanation.rivals");
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair("accountId", text(row, "accountId"));
    query.append_pair("currency", text(row, "currency"));
    if !cursor.is_empty() {
        query.append_pair("cursor", cursor);
    }
    let path = format!("{}/evidence?{}", page_of("drift", id), query.finish());
    html! {
        @if class.is_empty() { span.none { "–" } } @else {
            a href=(path) { (class.replace('_', " ")) }
            @if rivals > 0 { " " span.note { (rivals + 1) " rival explanations" } }
            @else if !text(row, "explanation.basis").is_empty() {
                " " span.note { "by " (text(row, "explanation.basis")) }
            }
            @if flag(row, "explanation.bounded") { " " span.note { "search was bounded" } }
        }
    }
}

fn correction(row: &Value) -> Markup {
    let made = text(row, "correctionEventId");
    html! {
        @if made.is_empty() { span.none { "–" } } @else {
            (correction_link(made)) " " (state(text(row, "correctionStatus")))
        }
    }
}

fn all(visit: &Visit, id: &str, page: &Result<Value, ApiError>) -> Markup {
    let filter = Filter::new(visit)
        .choice("status", "Result", &["MATCH", "MISMATCH"])
        .choice("mismatchType", "Type", TYPES)
        .choice("class", "Evidence", CLASSES);
    let mismatches = visit.query("status") == "MISMATCH";
    let plain = visit.query("class").is_empty() && visit.query("mismatchType").is_empty();
    // Only the same list can be gone on with from its cursor.
    let cursor = match mismatches && plain {
        true => visit.query("cursor"),
        false => "",
    };
    html! {
        (filter.render())
        (either(page, |page| html! {
            (Table::new("All accounts")
                .columns(&["Account", "Result", "As of"])
                .number("Reported")
                .number("Shadow")
                .number("Difference")
                .columns(&["Evidence", "Correction"])
                .empty("No account matches.")
                .rows(items(page, "items"), |row| vec![
                    account_link(text(row, "accountId"), text(row, "currency")),
                    html! {
                        (state(text(row, "status")))
                        @if text(row, "mismatchType") != "none" {
                            " " span.note { (text(row, "mismatchType").replace('_', " ")) }
                        }
                    },
                    millis(row, "asOf"),
                    amount(row, "reportedBalance"),
                    amount(row, "shadowBalance"),
                    amount(row, "difference"),
                    evidence(id, row, cursor),
                    correction(row),
                ]))
            (pager(visit, page, true))
        }))
    }
}
