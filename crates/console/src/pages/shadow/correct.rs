//! A correction by hand: the form on the page of an account, and what it is sent to.

use florin_platform::http::router::Routes;
use maud::{Markup, html};
use serde_json::json;

use super::{API, page_of};
use crate::Console;
use crate::api::{segment, text};
use crate::reply::{Failure, Outcome, Reply};
use crate::ui::confirm::{Confirm, reason};
use crate::ui::{form, time};
use crate::visit::{Visit, post};

pub fn routes(routes: Routes<Console>) -> Routes<Console> {
    post(routes, "/console/shadow/accounts/{id}/correct", correct)
}

/// The button with its dialog.
pub fn button(visit: &Visit, account: &str, currency: &str) -> Markup {
    if !visit.me.may("shadow:correct") {
        return html! {};
    }
    let kinds = [("credit", "credit: more"), ("debit", "debit: less")];
    let ask = Confirm {
        id: "correct",
        label: "Correct",
        text: html! {
            "An entry by hand in the book of " (account) " in " (currency)
            ". Above the limit another person has to approve it."
        },
        action: &format!("{}/correct", page_of("accounts", account)),
        fields: html! {
            input type="hidden" name="currency" value=(currency);
            (form::select("type", "Type", &kinds, "credit"))
            (form::text("amount", "Amount", "", true))
            (time::field("timestamp", "Counts at (empty: now)", ""))
            (form::text("causeEventId", "Event that it is about", "", false))
            (reason())
        },
        danger: true,
    };
    ask.render(visit)
}

async fn correct(visit: Visit) -> Outcome {
    let account = visit.param("id");
    let mut body = json!({
        "type": visit.form("type"),
        "amount": visit.form("amount"),
        "reason": visit.form("reason"),
    });
    for name in ["currency", "causeEventId"] {
        if !visit.form(name).is_empty() {
            body[name] = visit.form(name).into();
        }
    }
    let at = time::sent(visit.form("timestamp"));
    let at = at.ok_or_else(|| Failure::Bad("That is no time.".to_owned()))?;
    if !at.is_empty() {
        body["timestamp"] = at.into();
    }
    let ask = visit
        .api
        .post(format!("{API}/correct/{}", segment(account)));
    let ask = ask.idempotency_key(visit.once()).json_body(&body);
    let result = ask.json().await;
    let place = match &result {
        Ok(made) => page_of("corrections", text(made, "eventId")),
        Err(_) => page_of("accounts", account),
    };
    let waits = result
        .as_ref()
        .is_ok_and(|made| text(made, "status") == "proposed");
    let words = match waits {
        true => "It is proposed: another person has to approve it.",
        false => "The correction counts.",
    };
    Reply::after(result, place, words)
}
