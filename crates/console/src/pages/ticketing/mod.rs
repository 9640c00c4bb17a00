//! Ticketing: organisations, their events with figures, orders, refunds, payouts, the gate,
//! webhooks.
//!
//! **Boundary.** Every signed-in person may act in the organisations of which he is a member; who
//! that is only the API knows. Pages offer what the visitor's permissions do not exclude and say
//! in words what the API refused.

mod attendees;
mod check_ins;
mod csv;
mod event;
mod events;
mod order;
mod orders;
mod orgs;
mod payouts;
mod postings;
mod refund_list;
mod refunds;
mod sales;
mod types;
mod webhooks;

use florin_platform::http::router::Routes;
use maud::{Markup, html};
use serde_json::Value;

use crate::Console;
use crate::api::{ApiError, segment, text};
use crate::reply::Page;
use crate::ui::badge::badge;
use crate::ui::link_short;
use crate::visit::Visit;

/// The routes of these pages.
pub fn routes(routes: Routes<Console>) -> Routes<Console> {
    let routes = orgs::routes(routes);
    let routes = events::routes(routes);
    let routes = event::routes(routes);
    let routes = types::routes(routes);
    let routes = sales::routes(routes);
    let routes = orders::routes(routes);
    let routes = order::routes(routes);
    let routes = refunds::routes(routes);
    let routes = refund_list::routes(routes);
    let routes = attendees::routes(routes);
    let routes = check_ins::routes(routes);
    let routes = postings::routes(routes);
    let routes = payouts::routes(routes);
    webhooks::routes(routes)
}

/// The page of an organisation.
fn org_path(id: &str) -> String {
    format!("/console/ticketing/organisations/{}", segment(id))
}

/// The page of an event.
fn event_path(id: &str) -> String {
    format!("/console/ticketing/events/{}", segment(id))
}

/// The page of an order.
fn order_path(id: &str) -> String {
    format!("/console/ticketing/orders/{}", segment(id))
}

/// A link to an event by its id.
fn event_link(id: &str) -> Markup {
    link_short(&event_path(id), id)
}

/// A path of the API below the event of this page.
fn api_event(visit: &Visit, rest: &str) -> String {
    format!("/api/v1/events/{}{rest}", segment(visit.param("id")))
}

/// A path of the API below the organisation of this page.
fn api_org(visit: &Visit, rest: &str) -> String {
    format!("/api/v1/orgs/{}{rest}", segment(visit.param("id")))
}

/// The event of this page.
async fn event_of(visit: &Visit) -> Result<Value, ApiError> {
    visit.api.get(api_event(visit, "")).json().await
}

/// The parts of an event's pages: end of the path, name, permission of the first call.
const TABS: [(&str, &str, &str); 8] = [
    ("", "Figures", "analytics:read"),
    ("/ticket-types", "Ticket types", ""),
    ("/sales", "Sales", "analytics:read"),
    ("/orders", "Orders", "orders:read"),
    ("/refunds", "Refunds", "orders:read"),
    ("/attendees", "Attendees", "orders:read"),
    ("/check-ins", "Check-ins", "checkins:read"),
    ("/postings", "Postings", "payouts:read"),
];

/// A page of an event: its name, state and parts around `content`.
fn event_page(visit: &Visit, event: &Value, tab: &str, content: Markup) -> Page {
    let path = event_path(text(event, "id"));
    let offered = TABS
        .iter()
        .filter(|(.., needs)| needs.is_empty() || visit.me.may(needs));
    let content = html! {
        ul.tabs {
            @for (rest, name, _) in offered {
                li {
                    a href={ (path) (rest) } aria-current=[(*rest == tab).then_some("page")] { (name) }
                }
            }
        }
        (content)
    };
    Page::new(text(event, "title"), content).beside(badge(text(event, "status")))
}

/// A share of the API ("0.4567") in percent; empty when there is none.
fn percent(share: &str) -> String {
    let Some(points) = crate::ui::money::minor(share, 4) else {
        return String::new();
    };
    let sign = if points < 0 { "-" } else { "" };
    let points = points.unsigned_abs();
    format!("{sign}{}.{:02} %", points / 100, points % 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_percent() {
        assert_eq!(percent("0.4567"), "45.67 %");
        assert_eq!(percent("1.0000"), "100.00 %");
        assert_eq!(percent("-0.0001"), "-0.01 %");
        assert_eq!(percent(""), "");
    }
}
