//! `/console/ticketing/organisations`: those of the visitor, or all for the platform; one with
//! what it may have, where its money goes, its newest events.

use florin_platform::http::router::Routes;
use futures_util::future::join;
use maud::{Markup, html};
use serde_json::{Value, json};

use super::{api_org, events, org_path};
use crate::Console;
use crate::api::{flag, items, segment, shown, text};
use crate::pages::listing::Listing;
use crate::reply::{Outcome, Page, Reply};
use crate::ui::badge::{Mood, badge, badge_as};
use crate::ui::confirm::Confirm;
use crate::ui::facts::{Facts, Figure, figures};
use crate::ui::money::money;
use crate::ui::table::{Table, pager};
use crate::ui::{either, section, time};
use crate::visit::{Visit, get, post};

const COLUMNS: &[(&str, &str)] = &[
    ("Id", "id"),
    ("Name", "name"),
    ("Legal name", "legalName"),
    ("Country", "country"),
    ("Currency", "defaultCurrency"),
    ("Contact", "contactEmail"),
    ("State", "status"),
    ("Verified", "verified"),
    ("Payout method", "payoutMethod.kind"),
    ("Payout delay (days)", "payoutDelayDays"),
    ("Created", "createdAt"),
];

pub fn routes(routes: Routes<Console>) -> Routes<Console> {
    let routes = get(routes, "/console/ticketing/organisations", list);
    let routes = get(routes, "/console/ticketing/organisations/{id}", show);
    post(
        routes,
        "/console/ticketing/organisations/{id}/verified",
        verify,
    )
}

async fn list(visit: Visit) -> Outcome {
    let list = Listing::new(&visit, "/api/v1/orgs");
    if visit.exports() {
        return list.export("organisations", COLUMNS).await;
    }
    let page = list.page().await?;
    let table = Table::new("Organisations")
        .columns(&[
            "Name",
            "State",
            "Verified",
            "Country",
            "Currency",
            "Pays out to",
            "Created",
            "",
        ])
        .empty("You are a member of no organisation.")
        .rows(items(&page, "items"), |org| {
            let id = text(org, "id");
            vec![
                html! { a href=(org_path(id)) { (text(org, "name")) } },
                badge(text(org, "status")),
                verified(org),
                html! { (text(org, "country")) },
                html! { (text(org, "defaultCurrency")) },
                html! { (method(org)) },
                time::time(text(org, "createdAt")),
                html! { a href={ "/console/ticketing/events?orgId=" (segment(id)) } { "Events" } },
            ]
        });
    Ok(Page::new(
        "Organisations",
        html! { (table) (pager(&visit, &page, true)) },
    )
    .into())
}

fn verified(org: &Value) -> Markup {
    match flag(org, "verified") {
        true => badge_as("verified", Mood::Good),
        false => badge_as("not verified", Mood::Care),
    }
}

fn method(org: &Value) -> String {
    match text(org, "payoutMethod.kind") {
        "wallet" => format!("wallet {}", text(org, "payoutMethod.walletId")),
        "bank_manual" => format!("bank: {}", text(org, "payoutMethod.label")),
        _ => "nowhere yet".to_owned(),
    }
}

async fn show(visit: Visit) -> Outcome {
    let org = visit.api.get(api_org(&visit, "")).json().await?;
    let balance = visit.api.get(api_org(&visit, "/balance")).json();
    let newest = visit.api.get("/api/v1/events");
    let newest = newest.query("orgId", visit.param("id"));
    let newest = newest.query("limit", "20").json();
    let (balance, newest) = join(balance, newest).await;
    let path = org_path(visit.param("id"));
    let all = format!(
        "/console/ticketing/events?orgId={}",
        segment(visit.param("id"))
    );
    let content = html! {
        (section("balance", "What it may have", either(&balance, |balance| {
            balances(balance, &path)
        })))
        (facts(&org))
        (section("events", "Events", either(&newest, |page| html! {
            (events::table(items(page, "items")))
            p { a href=(all) { "All events" } }
        })))
    };
    let beside = html! {
        (badge(text(&org, "status"))) " " (verified(&org)) " "
        a.button href={ (path) "/payouts" } { "Payouts" } " "
        a.button href={ (path) "/webhooks" } { "Webhooks" } " "
        (verification(&visit, &org, &path))
    };
    Ok(Page::new(text(&org, "name"), content).beside(beside).into())
}

/// Balances per currency; each figure leads to the payouts or the events it is made of.
pub fn balances(balance: &Value, path: &str) -> Markup {
    let rows = items(balance, "items");
    let of = |row: &Value| {
        let currency = text(row, "currency");
        let figure =
            |name: &str, member: &str| Figure::new(name, money(text(row, member), currency));
        html! {
            (figures(&[
                figure("Available", "available").href(format!("{path}/payouts")),
                figure("Pending", "pending").href(format!("{path}#events"))
                    .note("of events that are not over for long enough"),
                figure("Open chargebacks", "openChargebacks").href(format!("{path}#events")),
            ]))
        }
    };
    html! {
        @if rows.is_empty() { p.empty { "No event has a currency yet." } }
        @for row in rows { (of(row)) }
    }
}

fn facts(org: &Value) -> Facts {
    Facts::new()
        .add("Id", html! { code { (text(org, "id")) } })
        .add_text("Legal name", text(org, "legalName"))
        .add_text("Country", text(org, "country"))
        .add_text("Tax number", text(org, "taxId"))
        .add_text("Contact", text(org, "contactEmail"))
        .add_text("Fees are paid by", text(org, "feePayer"))
        .add_text("Tax is remitted by", text(org, "taxRemitter"))
        .add_text("Pays out to", &method(org))
        .add_text(
            "Paid out",
            &format!("{} days after an event", shown(org, "payoutDelayDays")),
        )
        .add("Created", time::time(text(org, "createdAt")))
        .add("Changed", time::time(text(org, "updatedAt")))
}

fn verification(visit: &Visit, org: &Value, path: &str) -> Markup {
    if !visit.me.may_all("ticketing:admin") {
        return html! {};
    }
    let (label, words, value) = match flag(org, "verified") {
        false => ("Verify", "Money may be paid out to it from now on.", "true"),
        true => (
            "Take verification back",
            "Nothing is paid out to it any more; it can still sell.",
            "false",
        ),
    };
    Confirm {
        id: "verified",
        label,
        text: html! { (words) },
        action: &format!("{path}/verified"),
        fields: html! { input type="hidden" name="verified" value=(value); },
        danger: value == "false",
    }
    .render(visit)
}

async fn verify(visit: Visit) -> Outcome {
    let verified = visit.form("verified") == "true";
    let ask = visit.api.patch(api_org(&visit, ""));
    let result = ask.json_body(&json!({"verified": verified})).json().await;
    let done = match verified {
        true => "The organisation is verified.",
        false => "The organisation is not verified any more.",
    };
    Reply::after(result, org_path(visit.param("id")), done)
}
