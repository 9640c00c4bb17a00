//! Freeze, unfreeze, close: each with a reason and a question first.

use florin_platform::http::router::Routes;
use maud::{Markup, html};
use serde_json::{Value, json};

use super::wallet_path;
use crate::Console;
use crate::api::{segment, text};
use crate::reply::{Outcome, Reply};
use crate::ui::confirm::{Confirm, reason};
use crate::visit::{Visit, post};

pub fn routes(routes: Routes<Console>) -> Routes<Console> {
    let routes = post(routes, "/console/wallets/{id}/freeze", |visit| {
        act(visit, "freeze", "The wallet is frozen.")
    });
    let routes = post(routes, "/console/wallets/{id}/unfreeze", |visit| {
        act(visit, "unfreeze", "The wallet is active again.")
    });
    post(routes, "/console/wallets/{id}/close", |visit| {
        act(visit, "close", "The wallet is closed.")
    })
}

/// What may be done to a wallet by this visitor.
pub fn buttons(visit: &Visit, wallet: &Value) -> Markup {
    if !visit.me.may("wallets:status") {
        return html! {};
    }
    let path = wallet_path(text(wallet, "walletId"));
    let ask = |id: &str, label: &str, words: &str, danger: bool| {
        Confirm {
            id,
            label,
            text: html! { (words) },
            action: &format!("{path}/{id}"),
            fields: reason(),
            danger,
        }
        .render(visit)
    };
    let close =
        "Nothing can move in or out of it any more. It must be empty. This cannot be undone.";
    match text(wallet, "status") {
        "ACTIVE" => html! {
            (ask("freeze", "Freeze", "Nothing can leave it until it is unfrozen.", false)) " "
            (ask("close", "Close", close, true))
        },
        "FROZEN" => html! {
            (ask("unfreeze", "Unfreeze", "Money can leave it again.", false)) " "
            (ask("close", "Close", close, true))
        },
        _ => html! {},
    }
}

async fn act(visit: Visit, what: &'static str, done: &'static str) -> Outcome {
    let id = visit.param("id");
    let path = format!("/api/v1/wallets/{}/{what}", segment(id));
    let body = json!({"reason": visit.form("reason")});
    let result = visit.api.post(path).json_body(&body).json().await;
    Reply::after(result, wallet_path(id), done)
}
