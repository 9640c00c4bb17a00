//! `GET /console/shadow/accounts/{id}/settings/{currency}`: what decides in a book, and changing it.

use florin_platform::http::router::Routes;
use maud::{Markup, html};
use serde_json::{Value, json};

use super::{API, account_link, amount_in, page_of};
use crate::Console;
use crate::api::{flag, number, segment, shown, text};
use crate::reply::{Failure, Outcome, Page, Reply};
use crate::ui::badge::{Mood, badge_as};
use crate::ui::facts::Facts;
use crate::ui::money::count;
use crate::ui::{form, section, time};
use crate::visit::{Visit, get, post};

const POLICIES: [(&str, &str); 3] = [
    ("watermark", "watermark: open for the grace, then final"),
    ("derived", "derived: never final"),
    ("arrival", "arrival: final at once"),
];

pub fn routes(routes: Routes<Console>) -> Routes<Console> {
    let path = "/console/shadow/accounts/{id}/settings/{currency}";
    post(get(routes, path, show), path, change)
}

/// The page of the settings of a book.
pub fn settings_path(account: &str, currency: &str) -> String {
    format!(
        "{}/settings/{}",
        page_of("accounts", account),
        segment(currency)
    )
}

fn api_path(visit: &Visit) -> String {
    let (account, currency) = (visit.param("id"), visit.param("currency"));
    format!("{API}/books/{}/{}", segment(account), segment(currency))
}

async fn show(visit: Visit) -> Outcome {
    let book = visit.api.get(api_path(&visit)).json().await?;
    let (id, currency) = (text(&book, "accountId"), text(&book, "currency"));
    let floor = match book["floor"].is_null() {
        true => html! { span.note { "none" } },
        false => amount_in(&book, "floor", currency),
    };
    let grace = number(&book, "graceSeconds");
    let facts = Facts::new()
        .add("Book", account_link(id, currency))
        .add_text("Currency", currency)
        .add("Lowest balance allowed", floor)
        .add_text("Policy", text(&book, "policy"))
        .add(
            "Grace",
            html! { span title={ (grace) " s" } { (time::seconds(grace as f64)) } },
        )
        .add_text("Days are counted in", text(&book, "zone"))
        .add("Differences that are none", tolerance(&book, currency))
        .add("Events", count(number(&book, "events")));
    let content = html! {
        (facts)
        @if visit.me.may("shadow:configure") { (section("change", "Change", ask(&visit, &book))) }
    };
    let beside = match flag(&book, "linked") {
        true => badge_as("linked", Mood::Plain),
        false => html! {},
    };
    Ok(Page::new(format!("Settings of {id}"), content)
        .beside(beside)
        .into())
}

fn tolerance(book: &Value, currency: &str) -> Markup {
    let percent = shown(book, "tolerance.percent");
    html! {
        @if book["tolerance"].is_null() { span.note { "as the installation says" } }
        @else {
            "up to " (amount_in(&book["tolerance"], "absolute", currency))
            @if !percent.is_empty() { " and " (percent) " %" }
        }
    }
}

fn ask(visit: &Visit, book: &Value) -> Markup {
    let fixed = number(book, "events") > 0;
    html! {
        form.form method="post" action=(visit.path()) {
            (form::hidden(visit))
            @if flag(book, "linked") { p.note { "A linked book has no floor: the ledger decides." } }
            (form::text("floor", "Lowest balance allowed; empty: none", &shown(book, "floor"), false))
            @if fixed { p.note { "The policy is fixed with the first event." } }
            @else { (form::select("policy", "Policy", &POLICIES, text(book, "policy"))) }
            (form::text("graceSeconds", "Grace, in seconds", &shown(book, "graceSeconds"), true))
            (form::text("zone", "Days are counted in: UTC or an offset such as -03:00", text(book, "zone"), true))
            (form::text("absolute", "Differences up to this amount are none", &shown(book, "tolerance.absolute"), false))
            (form::text("percent", "and up to this share of the reported balance, in %", &shown(book, "tolerance.percent"), false))
            p.note { "A new floor decides open debits anew. One that history breaks is refused." }
            div.buttons { button.primary type="submit" { "Save" } }
        }
    }
}

/// What was typed and differs from what holds: what stays is not sent, since some of it may not
/// be said again.
fn changes(visit: &Visit, now: &Value) -> Result<Value, Failure> {
    let mut body = json!({});
    if visit.form("floor") != shown(now, "floor") {
        body["floor"] = match visit.form("floor") {
            "" => Value::Null,
            floor => floor.into(),
        };
    }
    for member in ["policy", "zone"] {
        let given = visit.form(member);
        if !given.is_empty() && given != text(now, member) {
            body[member] = given.into();
        }
    }
    let grace = visit.form("graceSeconds");
    if grace != shown(now, "graceSeconds") {
        let seconds = grace.parse::<i64>();
        let seconds =
            seconds.map_err(|_| Failure::Bad("The grace is whole seconds.".to_owned()))?;
        body["graceSeconds"] = seconds.into();
    }
    let differs = |member: &str| visit.form(member) != shown(now, &format!("tolerance.{member}"));
    if differs("absolute") || differs("percent") {
        for member in ["absolute", "percent"] {
            if !visit.form(member).is_empty() {
                body["tolerance"][member] = visit.form(member).into();
            }
        }
    }
    Ok(body)
}

async fn change(visit: Visit) -> Outcome {
    let path = api_path(&visit);
    let now = visit.api.get(path.as_str()).json().await?;
    let body = changes(&visit, &now)?;
    let place = settings_path(visit.param("id"), visit.param("currency"));
    if body.as_object().is_some_and(serde_json::Map::is_empty) {
        return Ok(Reply::done(place, "Nothing was changed."));
    }
    let result = visit.api.put(path).json_body(&body).json().await;
    Reply::after(result, place, "The settings hold from now on.")
}
