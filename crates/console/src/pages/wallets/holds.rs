//! Holds: those of a wallet, one by its id, capture and release.

use florin_platform::http::router::Routes;
use maud::{Markup, Render, html};
use serde_json::{Value, json};

use super::{transaction_link, wallet_link, wallet_path};
use crate::Console;
use crate::api::{items, segment, text};
use crate::reply::{Outcome, Page, Reply};
use crate::ui::badge::badge;
use crate::ui::confirm::Confirm;
use crate::ui::facts::Facts;
use crate::ui::filter::Filter;
use crate::ui::money::money;
use crate::ui::table::Table;
use crate::ui::{short, time};
use crate::visit::{Visit, get, post};

pub fn routes(routes: Routes<Console>) -> Routes<Console> {
    let routes = get(routes, "/console/holds", find);
    let routes = post(routes, "/console/holds/{id}/capture", capture);
    post(routes, "/console/holds/{id}/void", void)
}

/// Holds of a wallet as a table.
pub fn table(visit: &Visit, page: &Value) -> Markup {
    let table = Table::new("Holds")
        .columns(&["Hold", "State"])
        .number("Amount")
        .columns(&["Reference", "Expires", ""])
        .empty("Nothing is held.");
    let table = table.rows(items(page, "items"), |hold| {
        let id = text(hold, "id");
        vec![
            html! { a href={ "/console/holds?id=" (segment(id)) } { (short(id)) } },
            badge(text(hold, "status")),
            money(text(hold, "amount"), text(hold, "currency")),
            html! { (text(hold, "description")) " " span.note { (text(hold, "referenceId")) } },
            time::ago(text(hold, "expiresAt")),
            buttons(visit, hold),
        ]
    });
    html! {
        (table)
        @if !text(page, "nextCursor").is_empty() { p.note { "The newest 50 holds." } }
    }
}

fn buttons(visit: &Visit, hold: &Value) -> Markup {
    let live = matches!(text(hold, "status"), "ACTIVE" | "PENDING" | "HELD" | "OPEN");
    if !live || !visit.me.may("wallets:capture") {
        return html! {};
    }
    let id = text(hold, "id");
    let amount = || money(text(hold, "amount"), text(hold, "currency"));
    let act = |what: &str, label: &str, words: Markup, danger: bool| {
        Confirm {
            id: &format!("{what}-{id}"),
            label,
            text: words,
            action: &format!("/console/holds/{}/{what}", segment(id)),
            fields: html! { input type="hidden" name="wallet" value=(text(hold, "walletId")); },
            danger,
        }
        .render(visit)
    };
    html! {
        (act("capture", "Capture", html! { (amount()) " leave the wallet for good." }, true)) " "
        (act("void", "Release", html! { (amount()) " are free again." }, false))
    }
}

async fn find(visit: Visit) -> Outcome {
    let filter = Filter::new(&visit).text("id", "Hold id").render();
    let id = visit.query("id");
    if id.is_empty() {
        let content = html! {
            (filter)
            p.note { "The holds of a wallet stand on its page." }
        };
        return Ok(Page::new("Holds", content).into());
    }
    let hold = visit.api.get(format!("/api/v1/holds/{}", segment(id)));
    let hold = hold.json().await?;
    let currency = text(&hold, "currency");
    let mut facts = Facts::new()
        .add("Id", html! { code { (text(&hold, "id")) } })
        .add("Wallet", wallet_link(text(&hold, "walletId")))
        .add("Amount", money(text(&hold, "amount"), currency))
        .add("Created", time::time(text(&hold, "createdAt")))
        .add("Expires", time::time(text(&hold, "expiresAt")))
        .add_text("Reference", text(&hold, "referenceId"))
        .add_text("Description", text(&hold, "description"));
    if !text(&hold, "capturedAmount").is_empty() {
        facts = facts.add("Captured", money(text(&hold, "capturedAmount"), currency));
    }
    if !text(&hold, "transactionId").is_empty() {
        let link = transaction_link(text(&hold, "transactionId"));
        facts = facts.add("Transaction", link);
    }
    let page = Page::new("Hold", html! { (filter) (facts.render()) });
    let beside = html! { (badge(text(&hold, "status"))) " " (buttons(&visit, &hold)) };
    Ok(page.beside(beside).into())
}

/// Back to the wallet from whose page the form came.
fn back(visit: &Visit) -> String {
    match visit.form("wallet") {
        "" => format!("/console/holds?id={}", segment(visit.param("id"))),
        wallet => format!("{}#holds", wallet_path(wallet)),
    }
}

async fn capture(visit: Visit) -> Outcome {
    let path = format!("/api/v1/holds/{}/capture", segment(visit.param("id")));
    let ask = visit.api.post(path).idempotency_key(visit.once());
    let result = ask.json_body(&json!({})).json().await;
    Reply::after(result, back(&visit), "The hold is captured.")
}

async fn void(visit: Visit) -> Outcome {
    let path = format!("/api/v1/holds/{}/void", segment(visit.param("id")));
    let result = visit.api.post(path).json_body(&json!({})).json().await;
    Reply::after(result, back(&visit), "The hold is released.")
}
