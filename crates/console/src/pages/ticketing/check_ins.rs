//! `GET /console/ticketing/events/{id}/check-ins`: what the gates scanned; undoing an entry.

use florin_platform::http::router::Routes;
use futures_util::future::join;
use maud::{Markup, html};
use serde_json::{Value, json};

use super::{api_event, event_of, event_page, event_path};
use crate::Console;
use crate::api::{flag, items, segment, text};
use crate::pages::listing::Listing;
use crate::reply::Outcome;
use crate::reply::Reply;
use crate::ui::badge::{Mood, badge, badge_as};
use crate::ui::confirm::Confirm;
use crate::ui::filter::Filter;
use crate::ui::table::{Table, pager};
use crate::ui::{short, time};
use crate::visit::{Visit, get, post};

const FILTERS: [&str; 4] = ["ticketId", "deviceId", "result", "conflict"];
const COLUMNS: &[(&str, &str)] = &[
    ("Id", "id"),
    ("Ticket", "ticketId"),
    ("Device", "deviceId"),
    ("Gate", "gate"),
    ("Direction", "direction"),
    ("Result", "result"),
    ("Reason", "reason"),
    ("Counted", "counted"),
    ("Conflict", "conflict"),
    ("Online", "online"),
    ("Scanned", "scannedAt"),
    ("Effective", "effectiveAt"),
    ("Recorded", "recordedAt"),
    ("Undone", "undoneAt"),
];

pub fn routes(routes: Routes<Console>) -> Routes<Console> {
    let routes = get(routes, "/console/ticketing/events/{id}/check-ins", show);
    post(routes, "/console/ticketing/check-ins/{id}/undo", undo)
}

async fn show(visit: Visit) -> Outcome {
    let list = Listing::new(&visit, api_event(&visit, "/check-ins")).filters(&FILTERS);
    if visit.exports() {
        return list.export("check-ins", COLUMNS).await;
    }
    let (event, page) = join(event_of(&visit), list.page()).await;
    let (event, page) = (event?, page?);
    let content = html! {
        (Filter::new(&visit).text("ticketId", "Ticket id").text("deviceId", "Device")
            .choice("result", "Result", &["admitted", "denied"])
            .choice("conflict", "In conflict", &["true", "false"]).render())
        (table(&visit, items(&page, "items")))
        (pager(&visit, &page, true))
    };
    Ok(event_page(&visit, &event, "/check-ins", content).into())
}

fn table(visit: &Visit, scans: &[Value]) -> Table {
    let mut table = Table::new("Scans, newest first")
        .columns(&["When", "Result", "Ticket", "Gate", "Device", "Counts", ""])
        .empty("Nothing was scanned.");
    for scan in scans {
        let ticket = text(scan, "ticketId");
        let cells = vec![
            html! {
                (time::time(text(scan, "effectiveAt")))
                @if !flag(scan, "online") { " " span.note { "told later" } }
            },
            html! {
                (result(scan)) " " span.note { (text(scan, "direction")) }
                @if text(scan, "reason") != "ok" { " " span.note { (text(scan, "reason")) } }
            },
            html! {
                @if !ticket.is_empty() {
                    a href=(visit.here_with(&[("ticketId", ticket)])) { (short(ticket)) }
                }
            },
            html! { (text(scan, "gate")) },
            html! {
                a href=(visit.here_with(&[("deviceId", text(scan, "deviceId"))])) { (text(scan, "deviceId")) }
            },
            html! {
                @if !text(scan, "undoneAt").is_empty() { span.note { "undone" } }
                @else if flag(scan, "counted") { "yes" } @else { "no" }
                " " (badge_as(text(scan, "conflict"), Mood::Bad))
            },
            undoing(visit, scan),
        ];
        match text(scan, "conflict") {
            "" => table.row(cells),
            _ => table.row_as("bad", cells),
        }
    }
    table
}

fn result(scan: &Value) -> Markup {
    match text(scan, "result") {
        "admitted" => badge_as("admitted", Mood::Good),
        "denied" => badge_as("denied", Mood::Bad),
        other => badge(other),
    }
}

fn undoing(visit: &Visit, scan: &Value) -> Markup {
    let open = text(scan, "result") == "admitted" && text(scan, "undoneAt").is_empty();
    if !open || !visit.me.may("tickets:manage") {
        return html! {};
    }
    let id = text(scan, "id");
    Confirm {
        id: &format!("undo-{id}"),
        label: "Undo",
        text: html! {
            "It counts as if it had not happened; if it was the ticket's only way in, the ticket "
            "is good again."
        },
        action: &format!("/console/ticketing/check-ins/{}/undo", segment(id)),
        fields: html! { input type="hidden" name="event" value=(text(scan, "eventId")); },
        danger: true,
    }
    .render(visit)
}

async fn undo(visit: Visit) -> Outcome {
    let path = format!("/api/v1/check-ins/{}/undo", segment(visit.param("id")));
    let result = visit.api.post(path).json_body(&json!({})).json().await;
    let back = format!("{}/check-ins", event_path(visit.form("event")));
    Reply::after(result, back, "The check-in is undone.")
}
