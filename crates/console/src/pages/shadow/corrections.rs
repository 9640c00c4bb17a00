//! `GET /console/shadow/corrections` and `/{id}`: what was proposed, and the second pair of eyes.
//! Who may approve what is decided by the API.

use florin_platform::http::router::Routes;
use maud::{Markup, Render, html};
use serde_json::{Value, json};

use super::{API, account_link, amount, correction_link, event_link, millis, page_of, state, tabs};
use crate::Console;
use crate::api::{items, number, segment, text};
use crate::pages::listing::Listing;
use crate::reply::{Outcome, Page, Reply};
use crate::ui::confirm::{Confirm, reason};
use crate::ui::facts::Facts;
use crate::ui::filter::Filter;
use crate::ui::money::count;
use crate::ui::table::{Table, pager};
use crate::ui::{form, link_short, section, short, time};
use crate::visit::{Visit, get, post};

const HERE: &str = "/console/shadow/corrections";
const COLUMNS: &[(&str, &str)] = &[
    ("Correction", "eventId"),
    ("Account", "accountId"),
    ("Type", "type"),
    ("Amount", "amount"),
    ("Currency", "currency"),
    ("Time (epoch ms)", "timestamp"),
    ("State", "status"),
    ("Kind", "kind"),
    ("Reason", "reason"),
    ("Proposed by", "proposedBy"),
    ("Approved by", "approvedBy"),
    ("Cause", "causeEventId"),
    ("Check", "checkId"),
    ("Line", "lineId"),
    ("Proposed", "proposedAt"),
    ("Decided", "decidedAt"),
    ("Applied", "appliedAt"),
];

pub fn routes(routes: Routes<Console>) -> Routes<Console> {
    let routes = get(routes, HERE, list);
    let routes = get(routes, "/console/shadow/corrections/{id}", show);
    let routes = post(
        routes,
        "/console/shadow/corrections/{id}/approve",
        |visit| step(visit, "approve"),
    );
    let routes = post(routes, "/console/shadow/corrections/{id}/reject", |visit| {
        step(visit, "reject")
    });
    post(
        routes,
        "/console/shadow/corrections/{id}/reverse",
        |visit| step(visit, "reverse"),
    )
}

async fn list(visit: Visit) -> Outcome {
    // An inbox: what waits stands first.
    let status = match visit.query("status") {
        "" => "proposed",
        "all" => "",
        status => status,
    };
    let list = Listing::new(&visit, format!("{API}/corrections")).exact();
    let list = list.with("status", status).filters(&["kind", "accountId"]);
    if visit.exports() {
        return list.export("corrections", COLUMNS).await;
    }
    let page = list.page().await?;
    let words = [
        ("proposed", "Waiting"),
        ("approved", "Approved"),
        ("applied", "Applied"),
        ("rejected", "Rejected"),
        ("reversed", "Reversed"),
        ("all", "All"),
    ];
    let filter = Filter::new(&visit)
        .choice("status", "State", &words.map(|(word, _)| word))
        .choice(
            "kind",
            "Kind",
            &["auto", "manual", "redrive", "reversal", "pair", "variance"],
        )
        .text("accountId", "Account");
    let content = html! {
        (tabs(HERE, "status", visit.query("status"), &words))
        (filter.render())
        (table(&visit, items(&page, "items")))
        (pager(&visit, &page, true))
    };
    Ok(Page::new("Corrections", content).into())
}

fn table(visit: &Visit, corrections: &[Value]) -> Table {
    Table::new("Corrections")
        .columns(&["Correction", "Account", "Kind"])
        .number("Amount")
        .columns(&["Reason", "Proposed", "State", ""])
        .empty("Nothing waits here.")
        .rows(corrections, |made| {
            vec![
                correction_link(text(made, "eventId")),
                account_link(text(made, "accountId"), text(made, "currency")),
                html! { (text(made, "kind")) },
                html! { (text(made, "type")) " " (amount(made, "amount")) },
                html! { (text(made, "reason")) },
                html! { (short(text(made, "proposedBy"))) " " (time::ago(text(made, "proposedAt"))) },
                state(text(made, "status")),
                decide(visit, made),
            ]
        })
}

/// Approve and reject, for those who may.
fn decide(visit: &Visit, made: &Value) -> Markup {
    if text(made, "status") != "proposed" || !visit.me.may("shadow:approve") {
        return html! {};
    }
    let id = text(made, "eventId");
    let path = page_of("corrections", id);
    let own = text(made, "proposedBy") == visit.me.user_id;
    let moved = html! {
        "A " (text(made, "type")) " of " (amount(made, "amount")) " in the book of "
        (text(made, "accountId")) ", proposed by " (text(made, "proposedBy")) ". "
        @if own { strong { "You proposed it: above the limit somebody else has to approve." } }
    };
    let approve = Confirm {
        id: &format!("approve-{id}"),
        label: "Approve",
        text: moved.clone(),
        action: &format!("{path}/approve"),
        fields: form::text("reason", "Reason", "", false),
        danger: false,
    };
    let reject = Confirm {
        id: &format!("reject-{id}"),
        label: "Reject",
        text: moved,
        action: &format!("{path}/reject"),
        fields: reason(),
        danger: true,
    };
    html! { (approve.render(visit)) " " (reject.render(visit)) }
}

async fn show(visit: Visit) -> Outcome {
    let id = visit.param("id");
    let path = format!("{API}/corrections/{}", segment(id));
    let made = visit.api.get(path).query("money", "string").json().await?;
    let content = html! {
        (facts(&made))
        (section("history", "History", history(&made).render()))
    };
    let reverse = Confirm {
        id: "reverse",
        label: "Reverse",
        text: html! { "The opposite entry is proposed, under the same rules as this one." },
        action: &format!("{}/reverse", page_of("corrections", id)),
        fields: reason(),
        danger: true,
    };
    let may = visit.me.may("shadow:correct") && text(&made, "status") == "applied";
    let beside = html! {
        (short(id)) " " (state(text(&made, "status"))) " " (decide(&visit, &made))
        @if may { (reverse.render(&visit)) }
    };
    Ok(Page::new("Correction", content).beside(beside).into())
}

fn facts(made: &Value) -> Facts {
    let mut facts = Facts::new()
        .add("Id", html! { code { (text(made, "eventId")) } })
        .add(
            "Account",
            account_link(text(made, "accountId"), text(made, "currency")),
        )
        .add_text("Kind", text(made, "kind"))
        .add_text("Type", text(made, "type"))
        .add("Amount", amount(made, "amount"))
        .add("Counts at", millis(made, "timestamp"))
        .add_text("Reason", text(made, "reason"))
        .add("Proposed by", short(text(made, "proposedBy")))
        .add("Proposed", time::time(text(made, "proposedAt")))
        .add_text("Approved by", text(made, "approvedBy"))
        .add("Decided", time::time(text(made, "decidedAt")))
        .add("Applied", time::time(text(made, "appliedAt")));
    let links = [
        ("Caused by", "causeEventId", "events"),
        ("Event", "target", "events"),
        ("Partner", "partnerEventId", "corrections"),
        ("Check", "checkId", "drift"),
        ("Line", "lineId", "lines"),
    ];
    for (name, member, kind) in links {
        let id = text(made, member);
        if !id.is_empty() {
            facts = facts.add(name, link_short(&page_of(kind, id), id));
        }
    }
    if text(made, "status") == "applied" {
        facts = facts.add("Entry", event_link(text(made, "eventId")));
    }
    let transfer = text(made, "transferId");
    match transfer.is_empty() {
        true => facts,
        false => facts.add(
            "Transfer in the ledger",
            crate::pages::ledger::transfer_link(transfer),
        ),
    }
}

fn history(made: &Value) -> Table {
    Table::new("History")
        .number("Record")
        .columns(&["At", "By", "What", "From → to", "Reason", "Policy", "Trace"])
        .rows(items(made, "history"), |step| {
            vec![
                count(number(step, "logSeq")),
                time::time(text(step, "at")),
                html! { (short(text(step, "actor"))) @if !text(step, "role").is_empty() { " " span.note { (text(step, "role")) } } },
                html! { (text(step, "action")) },
                html! { (text(step, "before")) " → " (text(step, "after")) },
                html! { (text(step, "reason")) },
                short(text(step, "policyVersion")),
                short(text(step, "traceId")),
            ]
        })
}

async fn step(visit: Visit, what: &'static str) -> Outcome {
    let id = visit.param("id");
    let path = format!("{API}/corrections/{}/{what}", segment(id));
    let body = match visit.form("reason") {
        "" => json!({}),
        reason => json!({"reason": reason}),
    };
    let ask = visit.api.post(path).idempotency_key(visit.once());
    let result = ask.json_body(&body).json().await;
    let status = result.as_ref().map(|made| text(made, "status").to_owned());
    let words = match (what, status.as_deref()) {
        ("approve", Ok("approved")) => {
            "It is approved and counts when its transfer comes back from the ledger."
        }
        ("approve", _) => "It is approved and counts.",
        ("reject", _) => "It is rejected.",
        (_, Ok("proposed")) => "The reversal is proposed: another person has to approve it.",
        _ => "The reversal counts.",
    };
    Reply::after(result, page_of("corrections", id), words)
}
