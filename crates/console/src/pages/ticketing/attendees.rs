//! `GET /console/ticketing/events/{id}/attendees`: who comes, and who is in.

use florin_platform::http::router::Routes;
use futures_util::future::join3;
use maud::{Markup, html};
use serde_json::Value;

use super::{api_event, event_of, event_page, event_path, order_path, refunds};
use crate::Console;
use crate::api::{flag, items, segment, text};
use crate::pages::listing::Listing;
use crate::reply::Outcome;
use crate::ui::badge::{Mood, badge, badge_as};
use crate::ui::form;
use crate::ui::table::{Table, pager};
use crate::ui::time;
use crate::visit::{Visit, get};

const FILTERS: [&str; 2] = ["ticketTypeId", "status"];
const STATES: [(&str, &str); 6] = [
    ("", "all"),
    ("valid", "valid"),
    ("used", "used"),
    ("suspended", "suspended"),
    ("refunded", "refunded"),
    ("cancelled", "cancelled"),
];
const COLUMNS: &[(&str, &str)] = &[
    ("Number", "number"),
    ("Ticket", "ticketId"),
    ("Order", "orderId"),
    ("Type", "ticketTypeId"),
    ("State", "status"),
    ("Channel", "channel"),
    ("Name", "holder.name"),
    ("E-mail", "holder.email"),
    ("Used", "usedAt"),
    ("Inside", "inside"),
];

pub fn routes(routes: Routes<Console>) -> Routes<Console> {
    get(routes, "/console/ticketing/events/{id}/attendees", show)
}

async fn show(visit: Visit) -> Outcome {
    let list = Listing::new(&visit, api_event(&visit, "/attendees")).filters(&FILTERS);
    if visit.exports() {
        return list.export("attendees", COLUMNS).await;
    }
    let types = visit.api.get(api_event(&visit, "/ticket-types")).json();
    let (event, page, types) = join3(event_of(&visit), list.page(), types).await;
    let (event, page) = (event?, page?);
    let types = types.unwrap_or_default();
    let kinds = items(&types, "items").iter();
    let kinds = kinds.map(|kind| (text(kind, "id"), text(kind, "name")));
    let mut choice = vec![("", "all")];
    choice.extend(kinds);
    let content = html! {
        form.filter method="get" action=(visit.path()) role="search" {
            (form::select("ticketTypeId", "Type", &choice, visit.query("ticketTypeId")))
            (form::select("status", "State", &STATES, visit.query("status")))
            div.buttons {
                button type="submit" { "Show" }
                a href=(visit.path()) { "Reset" }
            }
        }
        (table(&visit, items(&page, "items"), &choice, text(&event, "id")))
        (pager(&visit, &page, true))
    };
    Ok(event_page(&visit, &event, "/attendees", content).into())
}

/// Tickets with who comes with them; `types` are ids and names.
pub fn table(visit: &Visit, attendees: &[Value], types: &[(&str, &str)], event: &str) -> Table {
    let kind = |id: &str| {
        let found = types.iter().find(|(known, _)| *known == id);
        found.map_or_else(|| id.to_owned(), |(_, name)| (*name).to_owned())
    };
    Table::new("Attendees")
        .columns(&["Ticket", "Who", "Type", "State", "At the gate", "Order", ""])
        .empty("Nobody yet.")
        .rows(attendees, |attendee| {
            let ticket = segment(text(attendee, "ticketId"));
            let order = text(attendee, "number").rsplit_once('-');
            vec![
                html! { code { (text(attendee, "number")) } },
                holder(attendee),
                html! {
                    (kind(text(attendee, "ticketTypeId"))) " "
                    @if text(attendee, "channel") != "online" {
                        span.note { (text(attendee, "channel")) }
                    }
                },
                badge(text(attendee, "status")),
                html! {
                    @if flag(attendee, "inside") { (badge_as("inside", Mood::Good)) " " }
                    @match text(attendee, "usedAt") {
                        "" => a href={ (event_path(event)) "/check-ins?ticketId=" (ticket) } { "scans" },
                        at => a href={ (event_path(event)) "/check-ins?ticketId=" (ticket) } { (time::time(at)) },
                    }
                },
                html! {
                    a href=(order_path(text(attendee, "orderId"))) {
                        (order.map_or("order", |(number, _)| number))
                    }
                },
                refunds::ticket_button(visit, attendee, event),
            ]
        })
}

fn holder(attendee: &Value) -> Markup {
    html! {
        @if flag(&attendee["holder"], "erased") { span.none { "erased" } }
        @else {
            (text(attendee, "holder.name")) " " span.note { (text(attendee, "holder.email")) }
        }
    }
}
