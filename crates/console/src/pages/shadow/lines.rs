//! `GET /console/shadow/lines` and `/{id}`: lines of statements, with what they are matched to or
//! why they are not; whether a line that may be double counts.

use florin_platform::http::router::Routes;
use maud::{Markup, html};
use serde_json::{Value, json};

use super::{API, amount, event_link, line_link, page_of, state};
use crate::Console;
use crate::api::{flag, items, number, segment, shown, text};
use crate::pages::listing::Listing;
use crate::reply::{Outcome, Page, Reply};
use crate::ui::confirm::{Confirm, reason};
use crate::ui::facts::Facts;
use crate::ui::filter::Filter;
use crate::ui::table::{Table, pager};
use crate::ui::{link_short, section, short};
use crate::visit::{Visit, get, post};

/// States of a line.
pub const STATES: &[&str] = &["matched", "ambiguous", "unmatched", "ignored"];
/// Columns of a file of lines.
pub const COLUMNS: &[(&str, &str)] = &[
    ("Line", "lineId"),
    ("Statement", "statementId"),
    ("Number", "n"),
    ("Booked", "bookingDate"),
    ("Value", "valueDate"),
    ("Amount", "amount"),
    ("Currency", "currency"),
    ("End to end", "references.endToEndId"),
    ("Transaction", "references.transactionId"),
    ("Customer", "references.customerRef"),
    ("Bank", "references.bankRef"),
    ("Counterparty", "counterparty.name"),
    ("Text", "text"),
    ("State", "status"),
    ("Reason", "reason"),
    ("Decision", "decision"),
    ("Match", "match.matchId"),
    ("Rule", "match.rule"),
];

pub fn routes(routes: Routes<Console>) -> Routes<Console> {
    let routes = get(routes, "/console/shadow/lines", list);
    let routes = get(routes, "/console/shadow/lines/{id}", show);
    let routes = post(routes, "/console/shadow/lines/{id}/keep", |visit| {
        decide(visit, "keep", "The line takes part in matching.")
    });
    post(routes, "/console/shadow/lines/{id}/ignore", |visit| {
        decide(visit, "ignore", "The line is left out of matching.")
    })
}

async fn list(visit: Visit) -> Outcome {
    let list = Listing::new(&visit, format!("{API}/lines")).exact();
    let list = list.filters(&["accountId", "statementId", "status"]);
    if visit.exports() {
        return list.export("lines", COLUMNS).await;
    }
    let page = list.page().await?;
    let filter = Filter::new(&visit)
        .text("accountId", "Account")
        .text("statementId", "Statement")
        .choice("status", "State", STATES);
    let content = html! {
        (filter.render())
        (table(items(&page, "items")))
        (pager(&visit, &page, true))
    };
    Ok(Page::new("Statement lines", content).into())
}

/// The first reference that a line carries.
fn reference(line: &Value) -> &str {
    let names = [
        "endToEndId",
        "transactionId",
        "customerRef",
        "servicerRef",
        "bankRef",
    ];
    let all = names.map(|name| text(&line["references"], name));
    let found = all.into_iter().find(|one| !one.is_empty());
    found.unwrap_or_default()
}

/// Lines as a table.
pub fn table(lines: &[Value]) -> Table {
    Table::new("Lines")
        .columns(&["Line", "Booked"])
        .number("Amount")
        .columns(&["Reference", "Counterparty", "Text", "State"])
        .empty("No line matches.")
        .rows(lines, |line| {
            vec![
                line_link(text(line, "lineId")),
                html! { span.day { (text(line, "bookingDate")) } },
                amount(line, "amount"),
                html! { (reference(line)) },
                html! { (text(line, "counterparty.name")) },
                html! { (text(line, "text")) },
                status(line),
            ]
        })
}

fn status(line: &Value) -> Markup {
    let made = text(line, "match.matchId");
    html! {
        (state(text(line, "status")))
        @if !text(line, "reason").is_empty() {
            " " span.note { (text(line, "reason").replace('_', " ")) }
        }
        @if !made.is_empty() { " " (link_short(&page_of("matches", made), made)) }
    }
}

async fn show(visit: Visit) -> Outcome {
    let id = visit.param("id");
    let path = format!("{API}/lines/{}", segment(id));
    let line = visit.api.get(path).query("money", "string").json().await?;
    let statement = text(&line, "statementId");
    let mut facts = Facts::new()
        .add("Amount", amount(&line, "amount"))
        .add(
            "Statement",
            link_short(&page_of("statements", statement), statement),
        )
        .add_text("Number", &number(&line, "n").to_string())
        .add_text("Booked", text(&line, "bookingDate"))
        .add_text("Value date", text(&line, "valueDate"))
        .add_text("Text", text(&line, "text"))
        .add_text("Code", text(&line, "code"))
        .add_text("Charges", &shown(&line, "charges"))
        .add_text("Counterparty", text(&line, "counterparty.name"))
        .add_text("Its account", text(&line, "counterparty.account"))
        .add_text("Decision", text(&line, "decision"));
    if flag(&line, "reversal") {
        facts = facts.add("Reversal", "yes");
    }
    if let Some(references) = line["references"].as_object() {
        for (name, value) in references {
            facts = facts.add_text(name, value.as_str().unwrap_or_default());
        }
    }
    let content = html! {
        (facts)
        @if text(&line, "status") == "ambiguous" {
            (section("candidates", "What fits equally well", candidates(&line)))
        }
        @if !items(&line, "match.entries").is_empty() {
            (section("match", "Matched to", html! {
                ul { @for entry in items(&line, "match.entries").iter().filter_map(Value::as_str) {
                    li { (event_link(entry)) }
                } }
            }))
        }
    };
    let beside = html! { (short(id)) " " (status(&line)) " " (buttons(&visit, &line)) };
    Ok(Page::new("Statement line", content).beside(beside).into())
}

fn candidates(line: &Value) -> Markup {
    html! {
        p.note { (number(line, "candidates.count")) " sets; at most 20 are kept." }
        ol {
            @for set in items(line, "candidates.sets") {
                li { @for event in items(set, "entries").iter().filter_map(Value::as_str) {
                    (event_link(event)) " "
                } }
            }
        }
    }
}

fn buttons(visit: &Visit, line: &Value) -> Markup {
    let open = matches!(text(line, "status"), "unmatched" | "ambiguous");
    if !open || !visit.me.may("shadow:import") {
        return html! {};
    }
    let path = page_of("lines", text(line, "lineId"));
    let keep = Confirm {
        id: "keep",
        label: "Keep",
        text: html! { "It is a payment of its own and takes part in matching." },
        action: &format!("{path}/keep"),
        fields: reason(),
        danger: false,
    };
    let ignore = Confirm {
        id: "ignore",
        label: "Ignore",
        text: html! { "It is out of matching for good; the bridge counts it apart." },
        action: &format!("{path}/ignore"),
        fields: reason(),
        danger: true,
    };
    html! {
        @if text(line, "reason") == "possible_duplicate_line" { (keep.render(visit)) " " }
        (ignore.render(visit))
    }
}

async fn decide(visit: Visit, what: &'static str, words: &'static str) -> Outcome {
    let id = visit.param("id");
    let path = format!("{API}/lines/{}/{what}", segment(id));
    let body = json!({"reason": visit.form("reason")});
    let result = visit.api.post(path).json_body(&body).json().await;
    Reply::after(result, page_of("lines", id), words)
}
