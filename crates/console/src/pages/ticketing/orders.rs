//! Orders: found by number or id, those of an event.

use florin_platform::http::router::Routes;
use futures_util::future::join;
use maud::{Markup, html};
use serde_json::Value;

use super::{api_event, event_of, event_page, order_path};
use crate::Console;
use crate::api::{ApiError, flag, items, number, segment, text};
use crate::pages::listing::Listing;
use crate::reply::{Outcome, Page, Reply, words_of};
use crate::ui::badge::{Mood, badge, badge_as};
use crate::ui::filter::Filter;
use crate::ui::money::{count, money};
use crate::ui::table::{Table, pager};
use crate::ui::time;
use crate::visit::{Visit, get};

const FILTERS: [&str; 1] = ["status"];
const STATES: [&str; 7] = [
    "reserved",
    "pending",
    "confirmed",
    "expired",
    "cancelled",
    "partially_refunded",
    "refunded",
];
const COLUMNS: &[(&str, &str)] = &[
    ("Number", "number"),
    ("Id", "id"),
    ("State", "status"),
    ("Channel", "channel"),
    ("Buyer", "buyer.name"),
    ("E-mail", "buyer.email"),
    ("Currency", "currency"),
    ("Tickets", "amounts.tickets"),
    ("Discount", "amounts.discount"),
    ("Tax", "amounts.tax"),
    ("Platform fee", "amounts.platformFee"),
    ("Processing fee", "amounts.processingFee"),
    ("Total", "amounts.total"),
    ("Refunded", "refundedAmount"),
    ("Payment", "payment.method"),
    ("Payment state", "payment.status"),
    ("Created", "createdAt"),
    ("Confirmed", "confirmedAt"),
];

pub fn routes(routes: Routes<Console>) -> Routes<Console> {
    let routes = get(routes, "/console/ticketing/orders", find);
    get(routes, "/console/ticketing/events/{id}/orders", of_event)
}

async fn find(visit: Visit) -> Outcome {
    let asked = visit.query("order");
    let mut wrong = None;
    if !asked.is_empty() {
        // Ids are UUIDs, which have four hyphens; numbers have one or none.
        let path = match asked.matches('-').count() > 1 {
            true => format!("/api/v1/orders/{}", segment(asked)),
            false => format!("/api/v1/orders/by-number/{}", segment(asked)),
        };
        match visit.api.get(path).json().await {
            Ok(order) => {
                let path = order_path(text(&order, "id"));
                return Ok(Reply::To { path, said: None });
            }
            Err(ApiError::Refused(refusal)) if refusal.status.is_client_error() => {
                wrong = Some(words_of(&refusal));
            }
            Err(error) => return Err(error.into()),
        }
    }
    let content = html! {
        (Filter::new(&visit).text("order", "Number or id of an order").render())
        @if let Some(words) = wrong { p.notice role="alert" { (words) } }
        p.note {
            "Such as 7K3QD-9M2XS; letters of either case. The orders of an event stand with the "
            a href="/console/ticketing/events" { "event" } "."
        }
    };
    Ok(Page::new("Find an order", content).into())
}

async fn of_event(visit: Visit) -> Outcome {
    let list = Listing::new(&visit, api_event(&visit, "/orders")).filters(&FILTERS);
    if visit.exports() {
        return list.export("orders", COLUMNS).await;
    }
    let (event, page) = join(event_of(&visit), list.page()).await;
    let (event, page) = (event?, page?);
    let content = html! {
        (Filter::new(&visit).choice("status", "State", &STATES).render())
        (table(items(&page, "items")))
        (pager(&visit, &page, true))
    };
    Ok(event_page(&visit, &event, "/orders", content).into())
}

/// Who bought.
pub fn buyer(order: &Value) -> Markup {
    let (name, mail) = (text(order, "buyer.name"), text(order, "buyer.email"));
    html! {
        @if flag(&order["buyer"], "erased") { span.none { "erased" } }
        @else { (name) @if !name.is_empty() && !mail.is_empty() { " " } span.note { (mail) } }
    }
}

fn table(orders: &[Value]) -> Table {
    Table::new("Orders, newest first")
        .columns(&["Number", "State", "Buyer"])
        .number("Tickets")
        .number("Total")
        .number("Refunded")
        .columns(&["Payment", "Created"])
        .empty("No order matches.")
        .rows(orders, |order| {
            let currency = text(order, "currency");
            let units = items(order, "items").iter();
            let units = units.map(|item| number(item, "quantity")).sum();
            vec![
                html! { a href=(order_path(text(order, "id"))) { (text(order, "number")) } },
                html! {
                    (badge(text(order, "status")))
                    @if flag(order, "needsReview") { " " (badge_as("needs review", Mood::Bad)) }
                },
                buyer(order),
                count(units),
                money(text(order, "amounts.total"), currency),
                money(text(order, "refundedAmount"), currency),
                html! { (text(order, "payment.method")) " " (badge(text(order, "payment.status"))) },
                time::time(text(order, "createdAt")),
            ]
        })
}
