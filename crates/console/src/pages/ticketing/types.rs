//! `GET /console/ticketing/events/{id}/ticket-types`: what is sold, what is left, pools and holds.

use florin_platform::http::router::Routes;
use futures_util::future::join3;
use maud::{Markup, Render, html};
use serde_json::Value;

use super::{api_event, csv, event_of, event_page, event_path};
use crate::Console;
use crate::api::{items, number, segment, shown, text};
use crate::reply::Outcome;
use crate::ui::badge::{Mood, badge, badge_as};
use crate::ui::facts::{Figure, figures};
use crate::ui::money::{count, money};
use crate::ui::table::{Table, pager};
use crate::ui::{either, section, short, time};
use crate::visit::{Visit, get};

const COLUMNS: csv::Columns = &[
    ("Id", "id"),
    ("Number", "typeNo"),
    ("Name", "name"),
    ("Price", "price"),
    ("Currency", "currency"),
    ("Quantity", "quantity"),
    ("Sold", "sold"),
    ("Held", "held"),
    ("Available", "available"),
    ("Sale", "saleState"),
    ("Availability", "availability"),
    ("Sale starts", "saleStartsAt"),
    ("Sale ends", "saleEndsAt"),
    ("Refundable until", "refundableUntil"),
    ("Hidden", "hidden"),
];

pub fn routes(routes: Routes<Console>) -> Routes<Console> {
    get(routes, "/console/ticketing/events/{id}/ticket-types", show)
}

async fn show(visit: Visit) -> Outcome {
    let types = visit.api.get(api_event(&visit, "/ticket-types")).json();
    if visit.exports() {
        let types = types.await?;
        return csv::whole("ticket-types", COLUMNS, items(&types, "items"));
    }
    let capacity = visit.api.get(api_event(&visit, "/capacity")).json();
    let (event, types, capacity) = join3(event_of(&visit), types, capacity).await;
    let (event, types) = (event?, types?);
    let content = html! {
        (table(&types, &event))
        (pager(&visit, &types, true))
        (section("stock", "Stock", either(&capacity, |capacity| stock(capacity, &event))))
    };
    Ok(event_page(&visit, &event, "/ticket-types", content).into())
}

/// Ticket types as a table.
pub fn table(types: &Value, event: &Value) -> Markup {
    let path = event_path(text(event, "id"));
    let table = Table::new("Ticket types")
        .column("Type")
        .number("Price")
        .number("Quantity")
        .number("Sold")
        .number("Held")
        .number("Available")
        .columns(&["To the public", "Sale", "On sale"])
        .empty("There is no ticket type.")
        .rows(items(types, "items"), |kind| {
            let id = segment(text(kind, "id"));
            vec![
                html! {
                    (text(kind, "name"))
                    @if crate::api::flag(kind, "hidden") { " " (badge_as("hidden", Mood::Plain)) }
                },
                money(text(kind, "price"), text(kind, "currency")),
                html! {
                    @match shown(kind, "quantity").as_str() {
                        "" => span.note { "as the pools" },
                        _ => (count(number(kind, "quantity"))),
                    }
                },
                html! {
                    a href={ (path) "/attendees?ticketTypeId=" (id) } { (count(number(kind, "sold"))) }
                },
                html! { a href={ (path) "/orders?status=reserved" } { (count(number(kind, "held"))) } },
                count(number(kind, "available")),
                availability(text(kind, "availability")),
                badge(text(kind, "saleState")),
                html! {
                    (time::time(text(kind, "saleStartsAt"))) " – " (time::time(text(kind, "saleEndsAt")))
                },
            ]
        });
    table.render()
}

fn availability(word: &str) -> Markup {
    let mood = match word {
        "many" => Mood::Good,
        "few" => Mood::Care,
        _ => Mood::Plain,
    };
    badge_as(word, mood)
}

fn stock(capacity: &Value, event: &Value) -> Markup {
    let path = event_path(text(event, "id"));
    let pools = Table::new("Pools")
        .column("Pool")
        .number("Capacity")
        .number("Sold")
        .number("Held")
        .number("Left")
        .empty("No pool limits the types.")
        .rows(items(capacity, "pools"), |pool| {
            let units = |member| count(number(pool, member));
            vec![
                short(text(pool, "poolId")),
                units("quantity"),
                units("sold"),
                units("held"),
                units("available"),
            ]
        });
    let holds = |name: &str, member: &str, rest: &str| {
        Figure::new(name, count(number(capacity, member))).href(format!("{path}/orders{rest}"))
    };
    html! {
        (figures(&[
            holds("Units held now", "holds.held", "?status=reserved"),
            holds("Holds that became tickets", "holds.converted", "?status=confirmed"),
            holds("Holds that lapsed or were given up", "holds.released", "?status=expired"),
        ]))
        (pools)
    }
}
