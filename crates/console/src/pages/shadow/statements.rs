//! `GET /console/shadow/statements`, `/{id}`, `/console/shadow/imports/{id}`: statements of banks,
//! how a file of them is sent, and what came of it.

use florin_platform::http::router::Routes;
use futures_util::future::join;
use maud::{Markup, html};
use serde_json::Value;

use super::{API, account_link, amount, lines, page_of, state};
use crate::Console;
use crate::api::{flag, items, number, segment, shown, text};
use crate::pages::listing::Listing;
use crate::reply::{Failure, Outcome, Page, Reply, words_of};
use crate::ui::badge::{Mood, badge_as};
use crate::ui::facts::{Facts, Figure, figures};
use crate::ui::filter::Filter;
use crate::ui::money::count;
use crate::ui::table::{Table, pager};
use crate::ui::{either, form, link_short, section, short, time, upload};
use crate::visit::{self, Visit, get};

const HERE: &str = "/console/shadow/statements";
const UPLOAD: &str = "/console/shadow/statements/upload";
/// Largest file, in bytes (contract D1).
const LIMIT: usize = 256 << 20;
const COLUMNS: &[(&str, &str)] = &[
    ("Statement", "statementId"),
    ("Of the bank", "bankStatementId"),
    ("Sequence", "sequence"),
    ("Reference", "accountRef"),
    ("Account", "accountId"),
    ("Currency", "currency"),
    ("Format", "format"),
    ("Opening", "opening.amount"),
    ("Opening day", "opening.date"),
    ("Closing", "closing.amount"),
    ("Closing day", "closing.date"),
    ("Lines", "lines"),
    ("Sum", "total"),
    ("Proven", "proven"),
    ("Continuity", "continuity"),
    ("Gap", "gap"),
    ("Digest", "digest"),
    ("Recorded", "recordedAt"),
];
/// What a form may say of a file; all of it is judged by the API.
const OPTIONS: [&str; 7] = [
    "accountId",
    "format",
    "profile",
    "mode",
    "partial",
    "opening",
    "closing",
];

pub fn routes(routes: Routes<Console>) -> Routes<Console> {
    let routes = get(routes, HERE, list);
    let routes = get(routes, "/console/shadow/statements/{id}", show);
    let routes = get(routes, "/console/shadow/imports/{id}", import);
    visit::upload(routes, UPLOAD, LIMIT, send)
}

async fn list(visit: Visit) -> Outcome {
    let list = Listing::new(&visit, format!("{API}/statements")).exact();
    let list = list.filters(&["accountId", "currency"]);
    if visit.exports() {
        return list.export("statements", COLUMNS).await;
    }
    let page = list.page().await?;
    let filter = Filter::new(&visit)
        .text("accountId", "Account")
        .text("currency", "Currency");
    let content = html! {
        (filter.render())
        (table(items(&page, "items")))
        (pager(&visit, &page, true))
        @if visit.me.may("shadow:import") { (section("upload", "Upload a statement", ask(&visit))) }
    };
    Ok(Page::new("Statements", content).into())
}

fn proof(statement: &Value) -> Markup {
    match flag(statement, "proven") {
        true => badge_as("proven", Mood::Good),
        false => badge_as("not proven", Mood::Care),
    }
}

fn continuity(statement: &Value) -> Markup {
    html! {
        (state(text(statement, "continuity")))
        @if !shown(statement, "gap").is_empty() { " " (amount(statement, "gap")) }
    }
}

fn table(statements: &[Value]) -> Table {
    Table::new("Statements")
        .columns(&["Statement", "Account", "Days"])
        .number("Opening")
        .number("Closing")
        .number("Lines")
        .columns(&["Balances", "Continues", "Imported"])
        .empty("No statement matches.")
        .rows(statements, |statement| {
            let id = text(statement, "statementId");
            let currency = text(statement, "currency");
            vec![
                link_short(&page_of("statements", id), id),
                account_link(text(statement, "accountId"), currency),
                html! { span.day { (text(statement, "opening.date")) } " – " span.day { (text(statement, "closing.date")) } },
                super::amount_in(&statement["opening"], "amount", currency),
                super::amount_in(&statement["closing"], "amount", currency),
                count(number(statement, "lines")),
                proof(statement),
                continuity(statement),
                time::time(text(statement, "recordedAt")),
            ]
        })
}

fn ask(visit: &Visit) -> Markup {
    let formats = [
        ("", "found by content"),
        ("camt053", "camt.053"),
        ("mt940", "MT940"),
        ("csv", "CSV"),
        ("bai2", "BAI2"),
        ("ofx", "OFX"),
    ];
    let modes = [
        ("", "strict: deviations refuse the file"),
        ("lenient", "lenient: known deviations are named and kept"),
    ];
    let fields = html! {
        (form::text("accountId", "Account, where the bank's reference is not mapped", "", false))
        (form::select("format", "Format", &formats, ""))
        (form::select("mode", "Reading", &modes, ""))
        (form::text("profile", "CSV profile", "", false))
        (form::text("opening", "Opening balance of a CSV without balances", "", false))
        (form::text("closing", "Its closing balance", "", false))
        (form::check("partial", "Keep statements that pass when others do not", "true", false))
        p.note { "At most 256 MiB, also gzip. Nothing is stored unless the arithmetic holds." }
    };
    upload::form(visit, UPLOAD, "", fields)
}

async fn send(visit: Visit) -> Outcome {
    let (_, body) = visit.take_body();
    let ask = visit.api.post(format!("{API}/statements"));
    let ask = ask.queries(OPTIONS.map(|name| (name, visit.query(name))));
    let ask = ask
        .query("money", "string")
        .body("application/octet-stream", body);
    match ask.json().await {
        Ok(made) => {
            let path = page_of("imports", text(&made, "importId"));
            Ok(Reply::done(path, "The file is imported."))
        }
        Err(error) => Err(match error.refusal() {
            Some(refusal) => Failure::Bad(words_of(refusal)),
            None => error.into(),
        }),
    }
}

async fn import(visit: Visit) -> Outcome {
    let id = visit.param("id");
    let path = format!("{API}/imports/{}", segment(id));
    let made = visit.api.get(path).query("money", "string").json().await?;
    let table = Table::new("Statements of the file")
        .columns(&["Statement", "Account"])
        .number("Opening")
        .number("Closing")
        .number("Lines")
        .columns(&["Balances", "Continues", "Notes"])
        .empty("No statement of this file was stored.")
        .rows(items(&made, "statements"), |one| {
            let id = text(one, "statementId");
            vec![
                link_short(&page_of("statements", id), id),
                account_link(text(one, "accountId"), text(one, "currency")),
                amount(one, "openingBalance"),
                amount(one, "closingBalance"),
                count(number(one, "lines")),
                proof(one),
                continuity(one),
                html! {
                    @if flag(one, "duplicate") { (badge_as("stored before", Mood::Plain)) " " }
                    (notes(one))
                },
            ]
        });
    let refused = items(&made, "refused");
    let content = html! {
        (Facts::new()
            .add("Import", html! { code { (id) } })
            .add("Digest of the file", short(text(&made, "fileDigest"))))
        (section("statements", "Statements", html! { (table) }))
        @if !refused.is_empty() {
            (section("refused", "Refused", html! {
                ul { @for one in refused {
                    li { code { (text(one, "code")) } " " (text(one, "detail")) }
                } }
            }))
        }
    };
    Ok(Page::new("Import", content).into())
}

/// Deviations and warnings by their names.
fn notes(of: &Value) -> Markup {
    html! {
        @for member in ["deviations", "warnings"] {
            @for word in items(of, member).iter().filter_map(Value::as_str) {
                (badge_as(word, Mood::Care)) " "
            }
        }
    }
}

async fn show(visit: Visit) -> Outcome {
    let id = visit.param("id");
    let path = format!("{API}/statements/{}", segment(id));
    let list = Listing::new(&visit, format!("{API}/lines")).exact();
    let list = list.with("statementId", id).filters(&["status"]);
    if visit.exports() {
        return list.export("statement-lines", lines::COLUMNS).await;
    }
    let statement = visit.api.get(path).query("money", "string").json();
    let (statement, page) = join(statement, list.page()).await;
    let statement = statement?;
    let currency = text(&statement, "currency");
    let balance = |member: &str| super::amount_in(&statement[member], "amount", currency);
    let facts = Facts::new()
        .add(
            "Account",
            account_link(text(&statement, "accountId"), currency),
        )
        .add_text("Reference of the bank", text(&statement, "accountRef"))
        .add_text("Statement of the bank", text(&statement, "bankStatementId"))
        .add_text("Sequence", &shown(&statement, "sequence"))
        .add_text("Format", text(&statement, "format"))
        .add("Balances", proof(&statement))
        .add("Continues", continuity(&statement))
        .add_text("Pending lines, not kept", &shown(&statement, "pending"))
        .add("Notes", notes(&statement))
        .add("Digest", short(text(&statement, "digest")))
        .add("Imported", time::time(text(&statement, "recordedAt")));
    let opening = text(&statement, "opening.date");
    let closing = text(&statement, "closing.date");
    let filter = Filter::new(&visit).choice("status", "State", lines::STATES);
    let content = html! {
        (figures(&[
            Figure::new("Opening", balance("opening")).note(opening),
            Figure::new("Lines in sum", amount(&statement, "total")).href("#lines")
                .note(format!("{} lines", shown(&statement, "lines"))),
            Figure::new("Closing", balance("closing")).note(closing),
        ]))
        (facts)
        (section("lines", "Lines", html! {
            (filter.render())
            (either(&page, |page| html! {
                (lines::table(items(page, "items")))
                (pager(&visit, page, true))
            }))
        }))
    };
    Ok(Page::new("Statement", content).beside(short(id)).into())
}
