//! `GET /console/shadow/links` and `/{id}`: accounts of our own ledger that a book mirrors, and
//! ledger, shadow and bank side by side.

use florin_platform::http::router::Routes;
use futures_util::future::join;
use maud::{Markup, html};
use serde_json::{Value, json};

use super::{API, account_link, amount, page_of};
use crate::Console;
use crate::api::{items, number, segment, text};
use crate::pages::ledger::account_path;
use crate::pages::listing::Listing;
use crate::reply::{Outcome, Page, Reply};
use crate::ui::badge::{Mood, badge_as};
use crate::ui::facts::{Facts, Figure, figures};
use crate::ui::money::count;
use crate::ui::table::{Table, pager};
use crate::ui::{either, form, section, short, time};
use crate::visit::{Visit, get, post};

const HERE: &str = "/console/shadow/links";
const COLUMNS: &[(&str, &str)] = &[
    ("Account", "accountId"),
    ("Currency", "currency"),
    ("Ledger account", "ledgerAccount"),
    ("Orientation", "orientation"),
    ("Reference of the bank", "accountRef"),
    ("Position", "position"),
    ("Made by", "madeBy"),
    ("Made", "madeAt"),
];

pub fn routes(routes: Routes<Console>) -> Routes<Console> {
    let routes = get(routes, HERE, list);
    let routes = get(routes, "/console/shadow/links/{id}", show);
    post(routes, HERE, make)
}

fn link_path(link: &Value) -> String {
    let path = page_of("links", text(link, "accountId"));
    format!("{path}?currency={}", segment(text(link, "currency")))
}

async fn list(visit: Visit) -> Outcome {
    let list = Listing::new(&visit, format!("{API}/links"));
    if visit.exports() {
        return list.export("links", COLUMNS).await;
    }
    let page = list.page().await?;
    let table = Table::new("Linked books")
        .columns(&[
            "Book",
            "Currency",
            "Account of the ledger",
            "Orientation",
            "Reference of the bank",
        ])
        .number("Ledger record")
        .columns(&["By", "Since"])
        .empty("No account of the ledger is mirrored.")
        .rows(items(&page, "items"), |link| {
            vec![
                html! { a href=(link_path(link)) { (text(link, "accountId")) } },
                html! { (text(link, "currency")) },
                ledger(link),
                html! { (text(link, "orientation")) },
                html! { (text(link, "accountRef")) },
                count(number(link, "position")),
                short(text(link, "madeBy")),
                time::time(text(link, "madeAt")),
            ]
        });
    let content = html! {
        p.note {
            "A linked book takes its events from the ledger's feed alone. It has no floor, and a "
            "correction of it is a transfer in the ledger."
        }
        (table)
        (pager(&visit, &page, true))
        @if visit.me.may("shadow:configure") { (section("make", "Link an account", ask(&visit))) }
    };
    Ok(Page::new("Linked books", content).into())
}

fn ledger(link: &Value) -> Markup {
    let id = text(link, "ledgerAccount");
    html! { a href=(account_path(id)) { (short(id)) } }
}

fn ask(visit: &Visit) -> Markup {
    let sides = [
        (
            "asset",
            "asset: a debit of the ledger is a credit of the bank's statement",
        ),
        ("liability", "liability: the other way"),
    ];
    html! {
        form.form method="post" action=(HERE) {
            (form::hidden(visit))
            (form::text("accountId", "Book, which has no events yet", "", true))
            (form::text("ledgerAccount", "Account of the ledger", visit.query("ledgerAccount"), true))
            (form::text("currency", "Currency", "", false))
            (form::select("orientation", "Orientation", &sides, "asset"))
            (form::text("accountRef", "Reference of the bank, such as its IBAN", "", false))
            div.buttons { button.primary type="submit" { "Link" } }
        }
    }
}

async fn show(visit: Visit) -> Outcome {
    let id = visit.param("id");
    let path = format!("{API}/links/{}", segment(id));
    let currency = visit.query("currency");
    let link = visit
        .api
        .get(path.as_str())
        .query("currency", currency)
        .json();
    let status = visit.api.get(format!("{path}/status"));
    let status = status
        .query("currency", currency)
        .query("money", "string")
        .json();
    let (link, status) = join(link, status).await;
    let link = link?;
    let book = account_link(text(&link, "accountId"), text(&link, "currency"));
    let facts = Facts::new()
        .add("Book", book)
        .add("Account of the ledger", ledger(&link))
        .add_text("Currency", text(&link, "currency"))
        .add_text("Orientation", text(&link, "orientation"))
        .add_text("Reference of the bank", text(&link, "accountRef"))
        .add("Linked by", short(text(&link, "madeBy")))
        .add("Since", time::time(text(&link, "madeAt")));
    let content = html! {
        (either(&status, |status| standing(status, &link)))
        (facts)
    };
    let beside = match &status {
        Ok(status) if text(status, "ledgerBalance") == text(status, "shadowBalance") => {
            badge_as("equal", Mood::Good)
        }
        Ok(_) => badge_as("not equal", Mood::Bad),
        Err(_) => html! {},
    };
    Ok(Page::new(format!("Link of {id}"), content)
        .beside(beside)
        .into())
}

fn standing(status: &Value, link: &Value) -> Markup {
    let account = text(link, "accountId");
    let book = page_of("accounts", account);
    let currency = segment(text(link, "currency"));
    let of_account = segment(account);
    html! {
        (figures(&[
            Figure::new("Ledger", amount(status, "ledgerBalance"))
                .href(account_path(text(link, "ledgerAccount")))
                .note("as the bank's statement would show it"),
            Figure::new("Shadow", amount(status, "shadowBalance"))
                .href(format!("{book}?currency={currency}")),
            Figure::new("Bank", amount(status, "bankBalance"))
                .href(format!("/console/shadow/statements?accountId={of_account}&currency={currency}"))
                .note("newest closing balance"),
            Figure::new("Record of the ledger", count(number(status, "feedPosition")))
                .href("/console/ledger/transfers"),
            Figure::new("Behind the feed by", time::seconds(number(status, "lagSeconds") as f64)),
        ]))
    }
}

async fn make(visit: Visit) -> Outcome {
    let account = visit.form("accountId");
    let mut body = json!({
        "ledgerAccount": visit.form("ledgerAccount"),
        "orientation": visit.form("orientation"),
    });
    for member in ["currency", "accountRef"] {
        if !visit.form(member).is_empty() {
            body[member] = visit.form(member).into();
        }
    }
    let ask = visit.api.put(format!("{API}/links/{}", segment(account)));
    let result = ask.json_body(&body).json().await;
    let place = match &result {
        Ok(link) => link_path(link),
        Err(_) => HERE.to_owned(),
    };
    Reply::after(result, place, "The book mirrors the account from now on.")
}
