//! `GET /console/ticketing/events`: events of an organisation in every state, or what is public.

use florin_platform::http::router::Routes;
use maud::html;
use serde_json::Value;

use super::{event_path, org_path};
use crate::Console;
use crate::api::{flag, items, text};
use crate::pages::listing::Listing;
use crate::reply::{Outcome, Page};
use crate::ui::badge::badge;
use crate::ui::filter::Filter;
use crate::ui::form;
use crate::ui::table::{Table, pager};
use crate::ui::time;
use crate::visit::{Visit, get};

const FILTERS: [&str; 3] = ["q", "orgId", "status"];
const STATES: [&str; 6] = [
    "draft",
    "published",
    "sold_out",
    "postponed",
    "cancelled",
    "completed",
];
const COLUMNS: &[(&str, &str)] = &[
    ("Id", "id"),
    ("Title", "title"),
    ("State", "status"),
    ("Phase", "phase"),
    ("Starts", "startsAt"),
    ("Ends", "endsAt"),
    ("Time zone", "timeZone"),
    ("Venue", "venue.name"),
    ("City", "venue.city"),
    ("Currency", "currency"),
    ("Visibility", "visibility"),
    ("Organisation", "organiser.name"),
    ("Organisation id", "orgId"),
    ("Created", "createdAt"),
];

pub fn routes(routes: Routes<Console>) -> Routes<Console> {
    get(routes, "/console/ticketing/events", show)
}

async fn show(visit: Visit) -> Outcome {
    let list = Listing::new(&visit, "/api/v1/events").filters(&FILTERS);
    if visit.exports() {
        return list.export("events", COLUMNS).await;
    }
    let page = list.page().await?;
    let orgs = visit.api.get("/api/v1/orgs").query("limit", "500");
    // Who may see no organisations still sees what is public.
    let orgs = orgs.json().await.unwrap_or_default();
    let own = !visit.query("orgId").is_empty();
    let mut choice = vec![("", "public events of all")];
    let pair = |org| (text(org, "id"), text(org, "name"));
    choice.extend(items(&orgs, "items").iter().map(pair));
    let content = html! {
        form.filter method="get" action=(visit.path()) role="search" {
            (form::select("orgId", "Organisation", &choice, visit.query("orgId")))
            div.buttons { button type="submit" { "Show" } }
        }
        @if own {
            (Filter::new(&visit).text("q", "Words").text("orgId", "Organisation id")
                .choice("status", "State", &STATES).render())
        }
        (table(items(&page, "items")))
        (pager(&visit, &page, true))
    };
    Ok(Page::new("Events", content).into())
}

/// Events as a table.
pub fn table(events: &[Value]) -> Table {
    Table::new("Events")
        .columns(&[
            "Event",
            "State",
            "Starts",
            "Where",
            "Organisation",
            "Currency",
        ])
        .empty("No event matches.")
        .rows(events, |event| {
            let org = text(event, "orgId");
            vec![
                html! { a href=(event_path(text(event, "id"))) { (text(event, "title")) } },
                html! {
                    (badge(text(event, "status"))) " "
                    span.note { (text(event, "phase")) }
                    @if flag(event, "salesPaused") { " " span.note { "sales paused" } }
                },
                time::time(text(event, "startsAt")),
                html! {
                    @match text(event, "venue.name") {
                        "" => span.note { (text(event, "format")) },
                        name => { (name) " " span.note { (text(event, "venue.city")) } }
                    }
                },
                html! { a href=(org_path(org)) { (text(event, "organiser.name")) } },
                html! { (text(event, "currency")) },
            ]
        })
}
