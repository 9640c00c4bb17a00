//! `GET /console/transactions/{id}`: a movement of wallet money; reversal with a reason.

use florin_platform::http::router::Routes;
use maud::{Markup, html};
use serde_json::{Value, json};

use super::{transaction_link, transaction_path, wallet_link};
use crate::Console;
use crate::api::{items, number, segment, text};
use crate::pages::ledger::transfer_path;
use crate::reply::{Outcome, Page, Reply};
use crate::ui::badge::{badge, badge_as};
use crate::ui::confirm::{Confirm, reason};
use crate::ui::facts::Facts;
use crate::ui::money::{count, money};
use crate::ui::table::Table;
use crate::ui::{section, short, time};
use crate::visit::{Visit, get, post};

/// Columns of a file of transactions.
pub const COLUMNS: &[(&str, &str)] = &[
    ("Transaction", "transactionId"),
    ("Type", "type"),
    ("State", "status"),
    ("Direction", "direction"),
    ("Amount", "amount"),
    ("Currency", "currency"),
    ("From wallet", "fromWalletId"),
    ("To wallet", "toWalletId"),
    ("Reference", "referenceId"),
    ("Description", "description"),
    ("Effective", "effectiveAt"),
    ("Created", "createdAt"),
    ("Record", "seq"),
];

pub fn routes(routes: Routes<Console>) -> Routes<Console> {
    let routes = get(routes, "/console/transactions/{id}", show);
    post(routes, "/console/transactions/{id}/reverse", reverse)
}

/// Transactions as a table.
pub fn table(transactions: &[Value]) -> Table {
    Table::new("Transactions")
        .columns(&["Transaction", "Type", "State"])
        .number("Amount")
        .columns(&["With", "Reference", "When"])
        .empty("No transaction matches.")
        .rows(transactions, row)
}

fn row(transaction: &Value) -> Vec<Markup> {
    let outward = text(transaction, "direction") == "OUT";
    let amount = text(transaction, "amount");
    let signed = if outward {
        format!("-{amount}")
    } else {
        amount.to_owned()
    };
    let own = text(transaction, "walletId");
    let ends = ["fromWalletId", "toWalletId"].map(|member| text(transaction, member));
    let other = ends.into_iter().find(|id| !id.is_empty() && *id != own);
    vec![
        transaction_link(text(transaction, "transactionId")),
        badge_as(text(transaction, "type"), crate::ui::badge::Mood::Plain),
        badge(text(transaction, "status")),
        money(&signed, text(transaction, "currency")),
        html! { @if let Some(other) = other { (wallet_link(other)) } },
        html! {
            @if transaction["referenceIdGenerated"].as_bool() != Some(true) {
                (text(transaction, "referenceId"))
            }
            @if !text(transaction, "description").is_empty() {
                " " span.note { (text(transaction, "description")) }
            }
        },
        time::time(text(transaction, "effectiveAt")),
    ]
}

async fn show(visit: Visit) -> Outcome {
    let id = visit.param("id");
    let path = format!("/api/v1/transactions/{}", segment(id));
    let found = visit.api.get(path).json().await?;
    let currency = text(&found, "currency");
    let id = text(&found, "transactionId");
    let mut facts = Facts::new()
        .add("Id", html! { code { (id) } })
        .add_text("Type", text(&found, "type"))
        .add("Amount", money(text(&found, "amount"), currency))
        .add("Record", count(number(&found, "seq")))
        .add("Effective", time::time(text(&found, "effectiveAt")))
        .add("Created", time::time(text(&found, "createdAt")))
        .add_text("Reference", text(&found, "referenceId"))
        .add_text("Description", text(&found, "description"));
    for (member, name) in [("fromWalletId", "From wallet"), ("toWalletId", "To wallet")] {
        if !text(&found, member).is_empty() {
            facts = facts.add(name, wallet_link(text(&found, member)));
        }
    }
    for (member, name) in [("reversalOf", "Reversal of"), ("reversedBy", "Reversed by")] {
        if !text(&found, member).is_empty() {
            facts = facts.add(name, transaction_link(text(&found, member)));
        }
    }
    if !text(&found, "holdId").is_empty() {
        let hold = text(&found, "holdId");
        let link = html! { a href={ "/console/holds?id=" (segment(hold)) } { (short(hold)) } };
        facts = facts.add("Hold", link);
    }
    if !text(&found, "rate").is_empty() {
        let into = money(
            text(&found, "destinationAmount"),
            text(&found, "destinationCurrency"),
        );
        facts = facts
            .add_text("Rate", text(&found, "rate"))
            .add("Became", into);
    }
    if visit.me.may("ledger:read") {
        let link = html! { a href=(transfer_path(id)) { "Posting, legs and proof" } };
        facts = facts.add("In the ledger", link);
    }
    let balances = Table::new("Balances right after")
        .column("Wallet")
        .number("Balance")
        .number("Available")
        .rows(items(&found, "balances"), |balance| {
            vec![
                wallet_link(text(balance, "walletId")),
                money(text(balance, "balance"), currency),
                money(text(balance, "available"), currency),
            ]
        });
    let content = html! {
        (facts)
        @if !items(&found, "balances").is_empty() {
            (section("balances", "Right after it", html! { (balances) }))
        }
    };
    let beside = html! {
        (short(id)) " " (badge(text(&found, "status"))) " " (reversal(&visit, &found))
    };
    Ok(Page::new("Transaction", content).beside(beside).into())
}

fn reversal(visit: &Visit, transaction: &Value) -> Markup {
    let done =
        !text(transaction, "reversedBy").is_empty() || !text(transaction, "reversalOf").is_empty();
    if done || !visit.me.may("wallets:reverse") {
        return html! {};
    }
    let amount = money(text(transaction, "amount"), text(transaction, "currency"));
    Confirm {
        id: "reverse",
        label: "Reverse",
        text: html! { (amount) " go back where they came from, by a second transaction. Both stay in the books." },
        action: &format!("{}/reverse", transaction_path(text(transaction, "transactionId"))),
        fields: reason(),
        danger: true,
    }
    .render(visit)
}

async fn reverse(visit: Visit) -> Outcome {
    let id = visit.param("id");
    let path = format!("/api/v1/transactions/{}/reverse", segment(id));
    let body = json!({"reason": visit.form("reason")});
    let result = visit.api.post(path).json_body(&body).json().await;
    Reply::after(result, transaction_path(id), "The transaction is reversed.")
}
