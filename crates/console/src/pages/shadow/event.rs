//! `GET /console/shadow/events/{id}`: an event with everything that was decided about it; redrive
//! and reject.

use florin_platform::http::router::Routes;
use maud::{Markup, Render, html};
use serde_json::{Value, json};

use super::{API, account_link, amount, amount_in, event_link, millis, page_of, state};
use crate::Console;
use crate::api::{flag, items, number, segment, shown, text};
use crate::reply::{Outcome, Page, Reply};
use crate::ui::confirm::{Confirm, reason};
use crate::ui::facts::Facts;
use crate::ui::money::count;
use crate::ui::table::Table;
use crate::ui::{section, short, time};
use crate::visit::{Visit, get, post};

pub fn routes(routes: Routes<Console>) -> Routes<Console> {
    let routes = get(routes, "/console/shadow/events/{id}", show);
    let routes = post(routes, "/console/shadow/events/{id}/redrive", redrive);
    post(routes, "/console/shadow/events/{id}/reject", reject)
}

async fn show(visit: Visit) -> Outcome {
    let id = visit.param("id");
    let path = format!("{API}/events/{}", segment(id));
    let event = visit.api.get(path).query("money", "string").json().await?;
    let content = html! {
        (facts(&event))
        (section("decisions", "Decisions", decisions(&event).render()))
    };
    let beside = html! {
        (short(id)) " " (state(text(&event, "state"))) " " (buttons(&visit, &event))
    };
    Ok(Page::new("Event", content).beside(beside).into())
}

fn facts(event: &Value) -> Facts {
    let cause = text(event, "causeEventId");
    let mut facts = Facts::new()
        .add("Id", html! { code { (text(event, "eventId")) } })
        .add(
            "Account",
            account_link(text(event, "accountId"), text(event, "currency")),
        )
        .add_text("Type", text(event, "type"))
        .add("Amount", amount(event, "amount"))
        .add("Counts at", millis(event, "timestamp"))
        .add("Recorded", time::time(text(event, "recordedAt")))
        .add("Record", count(number(event, "logSeq")))
        .add("Final", if flag(event, "final") { "yes" } else { "no" })
        .add_text("Reason", &text(event, "reason").replace('_', " "))
        .add_text("Reference", text(event, "reference"))
        .add_text("Description", text(event, "description"))
        .add_text("Source", text(event, "source"))
        .add_text("Sequence", &shown(event, "sequence"));
    if event.get("redrivable").is_some() {
        let fits = flag(event, "redrivable");
        facts = facts.add("Would fit now", if fits { "yes" } else { "no" });
    }
    if flag(event, "isCorrection") {
        let id = text(event, "eventId");
        facts = facts.add("Correction", super::correction_link(id));
    }
    match cause.is_empty() {
        true => facts,
        false => facts.add("Caused by", event_link(cause)),
    }
}

fn decisions(event: &Value) -> Table {
    let currency = text(event, "currency");
    Table::new("Decisions")
        .columns(&["At", "From", "To", "Reason"])
        .number("Running balance")
        .columns(&["Policy", "By", "Note"])
        .rows(items(event, "decisions"), |one| {
            vec![
                time::time(text(one, "at")),
                html! { (text(one, "from").replace('_', " ")) },
                html! {
                    (state(text(one, "to")))
                    @if flag(one, "final") { " " span.note { "final" } }
                },
                html! { (text(one, "reason").replace('_', " ")) },
                amount_in(one, "runningBalance", currency),
                html! { (text(one, "policy")) },
                html! { (text(one, "actor")) },
                html! { (text(one, "note")) },
            ]
        })
}

fn buttons(visit: &Visit, event: &Value) -> Markup {
    if !visit.me.may("shadow:correct") {
        return html! {};
    }
    let path = page_of("events", text(event, "eventId"));
    let word = text(event, "state");
    let redrive = Confirm {
        id: "redrive",
        label: "Redrive",
        text: html! {
            "It will count at its own time, if it fits. Above the limit another person has to approve."
        },
        action: &format!("{path}/redrive"),
        fields: reason(),
        danger: false,
    };
    let reject = Confirm {
        id: "reject",
        label: "Reject",
        text: html! { "It will not count. Only a redrive brings it back." },
        action: &format!("{path}/reject"),
        fields: reason(),
        danger: true,
    };
    html! {
        @if matches!(word, "rejected" | "held_for_review") { (redrive.render(visit)) " " }
        @if matches!(word, "held" | "held_for_review") { (reject.render(visit)) }
    }
}

async fn redrive(visit: Visit) -> Outcome {
    let id = visit.param("id");
    let ask = visit
        .api
        .post(format!("{API}/events/{}/redrive", segment(id)));
    let body = json!({"reason": visit.form("reason")});
    let result = ask.idempotency_key(visit.once()).json_body(&body).json();
    let result = result.await;
    let waits = result
        .as_ref()
        .is_ok_and(|made| text(made, "status") == "proposed");
    let words = match waits {
        true => "The redrive is proposed: another person has to approve it.",
        false => "The event counts now.",
    };
    Reply::after(result, page_of("events", id), words)
}

async fn reject(visit: Visit) -> Outcome {
    let id = visit.param("id");
    let ask = visit
        .api
        .post(format!("{API}/events/{}/reject", segment(id)));
    let body = json!({"reason": visit.form("reason")});
    let result = ask.json_body(&body).json().await;
    Reply::after(result, page_of("events", id), "The event is rejected.")
}
