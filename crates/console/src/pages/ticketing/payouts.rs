//! Payouts: those of an organisation, asking for one, one with its lines, and what the bank said.

use florin_platform::http::router::Routes;
use futures_util::future::join3;
use maud::{Markup, html};
use serde_json::{Value, json};

use super::{api_org, csv, event_link, org_path, orgs};
use crate::Console;
use crate::api::{items, segment, shown, text};
use crate::pages::ledger::account_link;
use crate::pages::wallets::wallet_link;
use crate::reply::{Outcome, Page, Reply};
use crate::ui::badge::badge;
use crate::ui::confirm::{Confirm, reason};
use crate::ui::facts::Facts;
use crate::ui::form;
use crate::ui::money::money;
use crate::ui::table::{Table, pager};
use crate::ui::{either, link_short, section, time};
use crate::visit::{Visit, get, post};

const COLUMNS: csv::Columns = &[
    ("Id", "id"),
    ("State", "status"),
    ("Amount", "amount"),
    ("Currency", "currency"),
    ("Method", "method.kind"),
    ("Reference", "reference"),
    ("Held back", "holdReason"),
    ("Failure", "failure"),
    ("Created", "createdAt"),
    ("Changed", "updatedAt"),
];

pub fn routes(routes: Routes<Console>) -> Routes<Console> {
    let of_org = "/console/ticketing/organisations/{id}/payouts";
    let routes = get(routes, of_org, list);
    let routes = post(routes, of_org, request);
    let routes = get(routes, "/console/ticketing/payouts/{id}", show);
    let routes = post(routes, "/console/ticketing/payouts/{id}/paid", |visit| {
        let body = json!({"reference": visit.form("reference")});
        mark(visit, "mark-paid", body, "The payout is paid.")
    });
    post(routes, "/console/ticketing/payouts/{id}/failed", |visit| {
        let body = json!({"reason": visit.form("reason")});
        mark(
            visit,
            "mark-failed",
            body,
            "The payout failed; the money is payable again.",
        )
    })
}

fn payout_path(id: &str) -> String {
    format!("/console/ticketing/payouts/{}", segment(id))
}

async fn list(visit: Visit) -> Outcome {
    let payouts = visit.api.get(api_org(&visit, "/payouts")).json();
    if visit.exports() {
        let payouts = payouts.await?;
        return csv::whole("payouts", COLUMNS, items(&payouts, "items"));
    }
    let org = visit.api.get(api_org(&visit, "")).json();
    let balance = visit.api.get(api_org(&visit, "/balance")).json();
    let (org, payouts, balance) = join3(org, payouts, balance).await;
    let (org, payouts) = (org?, payouts?);
    let path = org_path(visit.param("id"));
    let table = Table::new("Payouts, newest first")
        .columns(&["Payout", "State"])
        .number("Amount")
        .columns(&["To", "Reference", "Events", "Created"])
        .empty("Nothing was paid out.")
        .rows(items(&payouts, "items"), |payout| {
            let id = text(payout, "id");
            vec![
                link_short(&payout_path(id), id),
                state(payout),
                money(text(payout, "amount"), text(payout, "currency")),
                method(payout),
                html! { (text(payout, "reference")) },
                html! { a href={ (payout_path(id)) "#lines" } { (items(payout, "lines").len()) } },
                time::time(text(payout, "createdAt")),
            ]
        });
    let content = html! {
        p { "Of " a href=(path) { (text(&org, "name")) } }
        (section("balance", "What it may have", either(&balance, |balance| html! {
            (orgs::balances(balance, &path))
            (asking(&visit, balance, &path))
        })))
        (section("payouts", "Payouts", html! { (table) (pager(&visit, &payouts, true)) }))
    };
    Ok(Page::new("Payouts", content).into())
}

fn state(payout: &Value) -> Markup {
    html! {
        (badge(text(payout, "status")))
        @for member in ["holdReason", "failure"] {
            @if !text(payout, member).is_empty() { " " span.note { (text(payout, member)) } }
        }
    }
}

fn method(payout: &Value) -> Markup {
    html! {
        @match (text(payout, "method.kind"), text(payout, "method.walletId")) {
            ("wallet", id) => { "wallet " (wallet_link(id)) }
            (_, _) => (text(payout, "method.label")),
        }
    }
}

fn asking(visit: &Visit, balance: &Value, path: &str) -> Markup {
    if !visit.me.may("payouts:write") {
        return html! {};
    }
    let rows = items(balance, "items").iter();
    let names: Vec<String> = rows
        .clone()
        .map(|row| {
            format!(
                "{} ({} available)",
                text(row, "currency"),
                text(row, "available")
            )
        })
        .collect();
    let currencies: Vec<(&str, &str)> = rows
        .map(|row| text(row, "currency"))
        .zip(names.iter().map(String::as_str))
        .collect();
    if currencies.is_empty() {
        return html! {};
    }
    Confirm {
        id: "request",
        label: "Request a payout",
        text: html! { "The money leaves what is payable at once and goes where the organisation pays out to." },
        action: &format!("{path}/payouts"),
        fields: html! {
            (form::select("currency", "Currency", &currencies, currencies[0].0))
            (form::text("amount", "Amount; empty: all that is available", "", false))
        },
        danger: false,
    }
    .render(visit)
}

async fn request(visit: Visit) -> Outcome {
    let mut body = json!({"currency": visit.form("currency")});
    if !visit.form("amount").is_empty() {
        body["amount"] = visit.form("amount").into();
    }
    let ask = visit.api.post(api_org(&visit, "/payouts"));
    let ask = ask.idempotency_key(visit.once());
    let result = ask.json_body(&body).json().await;
    let place = match &result {
        Ok(payout) => payout_path(text(payout, "id")),
        Err(_) => format!("{}/payouts", org_path(visit.param("id"))),
    };
    Reply::after(result, place, "The payout is on its way.")
}

async fn show(visit: Visit) -> Outcome {
    let path = format!("/api/v1/payouts/{}", segment(visit.param("id")));
    let payout = visit.api.get(path).json().await?;
    let currency = text(&payout, "currency");
    if visit.exports() {
        return csv::whole(
            "payout-lines",
            &[("Event", "eventId"), ("Net", "net"), ("Tax", "tax")],
            items(&payout, "lines"),
        );
    }
    let org = text(&payout, "orgId");
    let account = format!("florin:tk:payouts:{}:{currency}", text(&payout, "id"));
    let facts = Facts::new()
        .add("Id", html! { code { (text(&payout, "id")) } })
        .add("Organisation", link_short(&org_path(org), org))
        .add("Amount", money(text(&payout, "amount"), currency))
        .add("To", method(&payout))
        .add_text("Reference of the bank", text(&payout, "reference"))
        .add_text("Held back", text(&payout, "holdReason"))
        .add_text("Failure", text(&payout, "failure"))
        .add("In the ledger", account_link(&account))
        .add("Created", time::time(text(&payout, "createdAt")))
        .add("Changed", time::time(text(&payout, "updatedAt")));
    let lines = Table::new("Lines")
        .column("Event")
        .number("Net")
        .number("Tax")
        .empty("It has no lines.")
        .rows(items(&payout, "lines"), |line| {
            vec![
                event_link(text(line, "eventId")),
                money(text(line, "net"), currency),
                money(text(line, "tax"), currency),
            ]
        });
    let content = html! {
        (facts)
        (section("lines", "What it is made of", html! { (lines) (pager(&visit, &payout, true)) }))
        p { a href={ (org_path(org)) "/payouts" } { "All payouts of the organisation" } }
    };
    let beside = html! { (badge(text(&payout, "status"))) " " (marks(&visit, &payout)) };
    Ok(Page::new("Payout", content).beside(beside).into())
}

/// For those who send money by hand.
fn marks(visit: &Visit, payout: &Value) -> Markup {
    let open = matches!(text(payout, "status"), "requested" | "in_transit");
    if !open || !visit.me.may_all("ticketing:admin") {
        return html! {};
    }
    let path = payout_path(text(payout, "id"));
    let amount = || money(text(payout, "amount"), text(payout, "currency"));
    let by_hand = text(payout, "method.kind") != "wallet";
    html! {
        @if by_hand {
            (Confirm {
                id: "paid",
                label: "Mark as paid",
                text: html! { "The bank has sent " (amount()) " to " (shown(payout, "method.label")) ". This cannot be undone." },
                action: &format!("{path}/paid"),
                fields: html! {
                    label.field {
                        span { "Reference of the bank" }
                        input type="text" name="reference" required maxlength="140";
                    }
                },
                danger: true,
            }.render(visit)) " "
        }
        (Confirm {
            id: "failed",
            label: "Mark as failed",
            text: html! { (amount()) " go back to where they came from and are payable again." },
            action: &format!("{path}/failed"),
            fields: reason(),
            danger: true,
        }.render(visit))
    }
}

async fn mark(visit: Visit, what: &'static str, body: Value, done: &'static str) -> Outcome {
    let id = visit.param("id");
    let ask = visit
        .api
        .post(format!("/api/v1/payouts/{}/{what}", segment(id)));
    let result = ask.json_body(&body).json().await;
    Reply::after(result, payout_path(id), done)
}
