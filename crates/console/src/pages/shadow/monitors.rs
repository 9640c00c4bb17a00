//! `GET /console/shadow/monitors` and `/{name}`: what is looked at on a schedule, when a state
//! becomes an alert, and setting one up.

use florin_platform::http::router::Routes;
use maud::{Markup, html};
use serde_json::{Value, json};

use super::{API, page_of};
use crate::Console;
use crate::api::{items, number, segment, shown, text};
use crate::pages::admin::{list_of, words};
use crate::pages::listing::Listing;
use crate::reply::{Outcome, Page, Reply};
use crate::ui::badge::{Mood, badge_as};
use crate::ui::confirm::Confirm;
use crate::ui::facts::Facts;
use crate::ui::money::money;
use crate::ui::table::{Table, pager};
use crate::ui::{form, section, short, time};
use crate::visit::{Visit, get, post};

const HERE: &str = "/console/shadow/monitors";
const COLUMNS: &[(&str, &str)] = &[
    ("Monitor", "name"),
    ("Kind", "kind"),
    ("Currency", "currency"),
    ("Every (s)", "everySeconds"),
    ("Threshold", "threshold.absolute"),
    ("Threshold (%)", "threshold.percent"),
    ("Sustained (s)", "sustainSeconds"),
    ("Severity", "severity"),
    ("Set by", "setBy"),
    ("Looked at", "lookedAt"),
];
/// Kinds of the contract (E), in its order, and what they compare.
const KINDS: &[(&str, &str)] = &[
    (
        "drift",
        "drift: the bank's closing balance, or the figure last given, with ours",
    ),
    ("held_age", "held age: an event is held past its deadline"),
    ("review_age", "review age: an event waits for a person"),
    (
        "sequence_gap",
        "sequence gap: numbers of a source are missing",
    ),
    ("feed_lag", "feed lag: a linked book is behind the ledger"),
    ("dead_letters", "dead letters: messages are parked"),
    (
        "statement_gap",
        "statement gap: an opening is not the closing before",
    ),
    ("statement_late", "statement late: none came for too long"),
    ("self_check", "self check: rebuilds a share of the books"),
];
const SEVERITIES: &[(&str, &str)] = &[
    ("", "as usual for the kind"),
    ("LOW", "low"),
    ("MEDIUM", "medium"),
    ("HIGH", "high"),
    ("CRITICAL", "critical"),
];

pub fn routes(routes: Routes<Console>) -> Routes<Console> {
    let routes = get(routes, HERE, list);
    let routes = get(routes, "/console/shadow/monitors/{name}", show);
    let routes = post(routes, HERE, set);
    post(routes, "/console/shadow/monitors/{name}/delete", remove)
}

/// How bad it is.
pub fn severity(word: &str) -> Markup {
    let mood = match word {
        "CRITICAL" | "HIGH" => Mood::Bad,
        "MEDIUM" => Mood::Care,
        _ => Mood::Plain,
    };
    badge_as(word, mood)
}

fn accounts(monitor: &Value) -> String {
    match words(monitor, "accounts") {
        none if none.is_empty() => "all".to_owned(),
        some => some,
    }
}

fn threshold(monitor: &Value) -> Markup {
    let percent = shown(monitor, "threshold.percent");
    html! {
        (money(text(monitor, "threshold.absolute"), text(monitor, "currency")))
        @if !percent.is_empty() { " and " (percent) " %" }
    }
}

fn lasting(monitor: &Value, member: &str) -> Markup {
    let seconds = number(monitor, member);
    html! { span title={ (seconds) " s" } { (time::seconds(seconds as f64)) } }
}

async fn list(visit: Visit) -> Outcome {
    let list = Listing::new(&visit, format!("{API}/monitors"));
    if visit.exports() {
        return list.export("monitors", COLUMNS).await;
    }
    let page = list.page().await?;
    let table = Table::new("Monitors")
        .columns(&["Monitor", "Kind", "Accounts", "Severity"])
        .number("Every")
        .number("Beyond")
        .number("For")
        .columns(&["Looked at", "Set by"])
        .empty("Nothing is looked at on a schedule.")
        .rows(items(&page, "items"), |monitor| {
            let name = text(monitor, "name");
            vec![
                html! { a href=(page_of("monitors", name)) { (name) } },
                html! { (text(monitor, "kind").replace('_', " ")) },
                html! { (accounts(monitor)) },
                severity(text(monitor, "severity")),
                lasting(monitor, "everySeconds"),
                threshold(monitor),
                lasting(monitor, "sustainSeconds"),
                time::ago(text(monitor, "lookedAt")),
                short(text(monitor, "setBy")),
            ]
        });
    let content = html! {
        p.note {
            "What a monitor finds stands in " a href="/console/shadow/alerts" { "Alerts" }
            ", one for each monitor and book until it is cleared."
        }
        (table)
        (pager(&visit, &page, true))
        @if visit.me.may("shadow:configure") {
            (section("set", "New monitor", ask(&visit, &Value::Null)))
        }
    };
    Ok(Page::new("Monitors", content).into())
}

/// The form, with what holds now.
fn ask(visit: &Visit, now: &Value) -> Markup {
    let known = text(now, "name");
    let whole = |member: &str| shown(now, member);
    let severity = match known {
        "" => "",
        _ => text(now, "severity"),
    };
    html! {
        form.form method="post" action=(HERE) {
            (form::hidden(visit))
            @if known.is_empty() { (form::text("name", "Name", "", true)) }
            @else { input type="hidden" name="name" value=(known); }
            (form::select("kind", "What it compares", KINDS, text(now, "kind")))
            (form::text("accounts", "Accounts: ids, beginnings with *, or none for all", &words(now, "accounts"), false))
            (form::text("currency", "Only this currency", text(now, "currency"), false))
            (form::text("everySeconds", "Seconds between two looks, at least 10", &whole("everySeconds"), false))
            (form::text("sustainSeconds", "Seconds that a state must last", &whole("sustainSeconds"), false))
            (form::text("absolute", "Differences up to this amount are none", &whole("threshold.absolute"), false))
            (form::text("percent", "and up to this share of the reported balance, in %", &whole("threshold.percent"), false))
            (form::select("severity", "Severity", SEVERITIES, severity))
            div.buttons { button.primary type="submit" { "Save" } }
        }
    }
}

async fn show(visit: Visit) -> Outcome {
    let path = format!("{API}/monitors/{}", segment(visit.param("name")));
    let monitor = visit.api.get(path).json().await?;
    let facts = Facts::new()
        .add_text("Kind", &text(&monitor, "kind").replace('_', " "))
        .add_text("Accounts", &accounts(&monitor))
        .add_text("Currency", text(&monitor, "currency"))
        .add("Looks every", lasting(&monitor, "everySeconds"))
        .add("Beyond", threshold(&monitor))
        .add("For", lasting(&monitor, "sustainSeconds"))
        .add("Set by", short(text(&monitor, "setBy")))
        .add("Looked at", time::time(text(&monitor, "lookedAt")))
        .add(
            "Found",
            html! { a href="/console/shadow/alerts" { "alerts" } },
        );
    let may = visit.me.may("shadow:configure");
    let content = html! {
        (facts)
        @if may { (section("set", "Change", ask(&visit, &monitor))) }
    };
    let name = text(&monitor, "name");
    let beside = html! {
        (severity(text(&monitor, "severity"))) " "
        @if may {
            (Confirm {
                id: "remove",
                label: "Remove",
                text: html! { "Nobody looks any more, and its open alerts are cleared." },
                action: &format!("{}/delete", page_of("monitors", name)),
                fields: html! {},
                danger: true,
            }.render(&visit))
        }
    };
    Ok(Page::new(format!("Monitor {name}"), content)
        .beside(beside)
        .into())
}

async fn set(visit: Visit) -> Outcome {
    let name = visit.form("name");
    let mut body = json!({"kind": visit.form("kind")});
    let accounts = list_of(visit.form("accounts"));
    if !accounts.is_empty() {
        body["accounts"] = accounts.into();
    }
    for member in ["currency", "severity"] {
        if !visit.form(member).is_empty() {
            body[member] = visit.form(member).into();
        }
    }
    for member in ["everySeconds", "sustainSeconds"] {
        let given = visit.form(member);
        if !given.is_empty() {
            // What is no number is the API's to refuse.
            body[member] = given
                .parse::<i64>()
                .map_or_else(|_| given.into(), Value::from);
        }
    }
    for member in ["absolute", "percent"] {
        if !visit.form(member).is_empty() {
            body["threshold"][member] = visit.form(member).into();
        }
    }
    let path = format!("{API}/monitors/{}", segment(name));
    let result = visit.api.put(path).json_body(&body).json().await;
    let place = match &result {
        Ok(_) => page_of("monitors", name),
        Err(_) => HERE.to_owned(),
    };
    Reply::after(result, place, "The monitor is set.")
}

async fn remove(visit: Visit) -> Outcome {
    let path = format!("{API}/monitors/{}", segment(visit.param("name")));
    let result = visit.api.delete(path).json().await;
    Reply::after(result, HERE, "The monitor is removed.")
}
