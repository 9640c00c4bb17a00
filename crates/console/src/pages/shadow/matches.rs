//! `GET /console/shadow/matches` and `/{id}`: what belongs together, by rule or by hand; made and
//! undone.

use florin_platform::http::router::Routes;
use maud::{Markup, html};
use serde_json::{Value, json};

use super::{API, account_link, amount, correction_link, event_link, line_link, page_of, state};
use crate::Console;
use crate::api::{flag, items, segment, text};
use crate::pages::listing::Listing;
use crate::reply::{Outcome, Page, Reply, own_path};
use crate::ui::confirm::{Confirm, reason};
use crate::ui::facts::Facts;
use crate::ui::filter::Filter;
use crate::ui::table::{Table, pager};
use crate::ui::{link_short, section, short, time};
use crate::visit::{Visit, get, post};

const HERE: &str = "/console/shadow/matches";
const COLUMNS: &[(&str, &str)] = &[
    ("Match", "matchId"),
    ("Account", "accountId"),
    ("Currency", "currency"),
    ("Rule", "rule"),
    ("State", "state"),
    ("Variance", "variance"),
    ("Interchangeable", "interchangeable"),
    ("Reconciliation", "reconciliationId"),
    ("Correction", "correctionId"),
    ("Reason", "reason"),
    ("By", "createdBy"),
    ("Created", "createdAt"),
    ("Undone by", "undoneBy"),
    ("Undone", "undoneAt"),
    ("Why undone", "undoReason"),
];

pub fn routes(routes: Routes<Console>) -> Routes<Console> {
    let routes = get(routes, HERE, list);
    let routes = get(routes, "/console/shadow/matches/{id}", show);
    let routes = post(routes, HERE, make);
    post(routes, "/console/shadow/matches/{id}/undo", undo)
}

async fn list(visit: Visit) -> Outcome {
    let list = Listing::new(&visit, format!("{API}/matches")).exact();
    let list = list.filters(&["accountId", "currency", "state", "rule"]);
    if visit.exports() {
        return list.export("matches", COLUMNS).await;
    }
    let page = list.page().await?;
    let filter = Filter::new(&visit)
        .text("accountId", "Account")
        .text("currency", "Currency")
        .choice("state", "State", &["active", "proposed", "undone"])
        .choice(
            "rule",
            "Rule",
            &["R1", "R2", "R3", "R4", "manual", "correction"],
        );
    let content = html! {
        (filter.render())
        (table(&visit, items(&page, "items")))
        (pager(&visit, &page, true))
    };
    Ok(Page::new("Matches", content).into())
}

/// Matches as a table, each with its undo.
pub fn table(visit: &Visit, matches: &[Value]) -> Table {
    Table::new("Matches")
        .columns(&["Match", "Rule", "Lines", "Entries"])
        .number("Variance")
        .columns(&["State", "Made", ""])
        .empty("No match.")
        .rows(matches, |made| {
            let id = text(made, "matchId");
            vec![
                link_short(&page_of("matches", id), id),
                html! { (text(made, "rule")) },
                ids(made, "lines", line_link),
                ids(made, "entries", event_link),
                amount(made, "variance"),
                state(text(made, "state")),
                html! { (short(text(made, "createdBy"))) " " (time::ago(text(made, "createdAt"))) },
                undo_button(visit, made),
            ]
        })
}

fn ids(made: &Value, member: &str, link: impl Fn(&str) -> Markup) -> Markup {
    /// Ids that a row shows.
    const SHOWN: usize = 3;
    let all = items(made, member);
    html! {
        @for id in all.iter().take(SHOWN).filter_map(Value::as_str) { (link(id)) " " }
        @if all.len() > SHOWN { span.note { "and " (all.len() - SHOWN) " more" } }
    }
}

fn undo_button(visit: &Visit, made: &Value) -> Markup {
    if !visit.me.may("shadow:match") || text(made, "state") == "undone" {
        return html! {};
    }
    let id = text(made, "matchId");
    let undo = Confirm {
        id: &format!("undo-{id}"),
        label: "Undo",
        text: html! { "Both sides are open again. No other match changes; the history stays." },
        action: &format!("{}/undo", page_of("matches", id)),
        fields: reason(),
        danger: true,
    };
    undo.render(visit)
}

async fn show(visit: Visit) -> Outcome {
    let id = visit.param("id");
    let path = format!("{API}/matches/{}", segment(id));
    let made = visit.api.get(path).query("money", "string").json().await?;
    let run = text(&made, "reconciliationId");
    let correction = text(&made, "correctionId");
    let mut facts = Facts::new()
        .add(
            "Account",
            account_link(text(&made, "accountId"), text(&made, "currency")),
        )
        .add_text("Rule", text(&made, "rule"))
        .add("Variance", amount(&made, "variance"))
        .add_text("Reason", text(&made, "reason"))
        .add("Made by", short(text(&made, "createdBy")))
        .add("Made", time::time(text(&made, "createdAt")))
        .add_text("Undone by", text(&made, "undoneBy"))
        .add_text("Why undone", text(&made, "undoReason"));
    if flag(&made, "interchangeable") {
        facts = facts.add("Equal items", "paired in order");
    }
    if !run.is_empty() {
        facts = facts.add("Run", link_short(&page_of("reconciliations", run), run));
    }
    if !correction.is_empty() {
        facts = facts.add("Correction", correction_link(correction));
    }
    let list = |member: &str, link: fn(&str) -> Markup| {
        html! {
            ul { @for id in items(&made, member).iter().filter_map(Value::as_str) { li { (link(id)) } } }
        }
    };
    let content = html! {
        (facts)
        div.columns {
            (section("lines", "Lines of the bank", list("lines", line_link)))
            (section("entries", "Entries of the shadow", list("entries", event_link)))
        }
    };
    let beside = html! {
        (short(id)) " " (state(text(&made, "state"))) " " (undo_button(&visit, &made))
    };
    Ok(Page::new("Match", content).beside(beside).into())
}

/// A match by hand; `back` is the page that asked for it.
async fn make(visit: Visit) -> Outcome {
    let chosen = |name: &str| {
        let all = visit.form_all(name).filter(|id| !id.is_empty());
        all.map(str::to_owned).collect::<Vec<_>>()
    };
    let mut body = json!({
        "accountId": visit.form("accountId"),
        "currency": visit.form("currency"),
        "lineIds": chosen("line"),
        "eventIds": chosen("event"),
        "reason": visit.form("reason"),
    });
    if !visit.form("acceptVariance").is_empty() {
        body["acceptVariance"] = visit.form("acceptVariance").into();
    }
    let ask = visit.api.post(format!("{API}/matches"));
    let ask = ask.idempotency_key(visit.once()).json_body(&body);
    let result = ask.json().await;
    let back = match visit.form("back") {
        "" => HERE,
        back => own_path(back),
    };
    let waits = result
        .as_ref()
        .is_ok_and(|made| text(made, "state") == "proposed");
    let words = match waits {
        true => "The match waits until its variance is approved.",
        false => "They are matched.",
    };
    Reply::after(result, back, words)
}

async fn undo(visit: Visit) -> Outcome {
    let id = visit.param("id");
    let path = format!("{API}/matches/{}/undo", segment(id));
    let body = json!({"reason": visit.form("reason")});
    let result = visit.api.post(path).json_body(&body).json().await;
    Reply::after(result, page_of("matches", id), "The match is undone.")
}
