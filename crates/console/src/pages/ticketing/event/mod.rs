//! `GET /console/ticketing/events/{id}`: an event at a glance: figures, sales curve, funnel, what
//! becomes of the money, who is inside; and calling it off.

mod charts;
mod ending;
mod live;

pub use ending::job_path;

use florin_platform::http::router::Routes;
use futures_util::future::join5;
use maud::{Markup, html};
use serde_json::Value;

use super::{api_event, event_page, event_path, org_path, percent, types};
use crate::Console;
use crate::api::{number, segment, text};
use crate::reply::Outcome;
use crate::ui::facts::{Facts, Figure, figures};
use crate::ui::money::{count, money};
use crate::ui::{either, section, time};
use crate::visit::{Visit, get};

pub fn routes(routes: Routes<Console>) -> Routes<Console> {
    let routes = get(routes, "/console/ticketing/events/{id}", show);
    let routes = live::routes(routes);
    ending::routes(routes)
}

async fn show(visit: Visit) -> Outcome {
    let id = segment(visit.param("id"));
    let figure = |what: &str| {
        let path = format!("/api/v1/analytics/events/{id}/{what}");
        visit.api.get(path).json()
    };
    let types = visit.api.get(api_event(&visit, "/ticket-types")).json();
    let (event, overview, sales, funnel, types) = join5(
        super::event_of(&visit),
        figure("overview"),
        figure("sales?groupBy=day"),
        figure("funnel"),
        types,
    )
    .await;
    let event = event?;
    let path = event_path(text(&event, "id"));
    let content = html! {
        (facts(&event))
        (section("figures", "Figures", either(&overview, |all| totals(all, &path))))
        div.columns {
            (section("curve", "Sales", either(&sales, |sales| charts::curve(sales, &path))))
            (section("funnel", "From a look to a ticket", either(&funnel, |funnel| {
                charts::funnel_of(funnel, &path)
            })))
        }
        (section("money", "What becomes of the money", either(&overview, |all| {
            charts::money_of(&visit, &event, all)
        })))
        (section("gate", "At the gate", either(&overview, |all| live::part(all, &event))))
        (section("types", "Ticket types", either(&types, |types| types::table(types, &event))))
        (ending::part(&visit, &event).await)
    };
    Ok(event_page(&visit, &event, "", content).into())
}

fn facts(event: &Value) -> Facts {
    let place = text(event, "venue.name");
    let city = text(event, "venue.city");
    let place = match (place, city) {
        ("", _) => text(event, "format").to_owned(),
        (place, city) => format!("{place}, {city}"),
    };
    let facts = Facts::new()
        .add(
            "Organisation",
            html! {
                a href=(org_path(text(event, "orgId"))) { (text(event, "organiser.name")) }
            },
        )
        .add("Starts", time::time(text(event, "startsAt")))
        .add("Ends", time::time(text(event, "endsAt")))
        .add_text("On the clock there", &local(text(event, "startsAtLocal")))
        .add_text("Where", &place)
        .add_text("Seen by", text(event, "visibility"))
        .add_text("Fees are paid by", text(event, "feePayer"));
    facts.add_text("Why", text(event, "statusReason"))
}

/// `2026-11-21T16:44:10.5+01:00[Europe/Berlin]` without what nobody reads.
fn local(text: &str) -> String {
    let minutes = text.get(..16).unwrap_or_default().replacen('T', " ", 1);
    let zone = text
        .split_once('[')
        .map_or("", |(_, rest)| rest.trim_end_matches(']'));
    format!("{minutes} {zone}").trim().to_owned()
}

fn totals(all: &Value, path: &str) -> Markup {
    let currency = text(all, "currency");
    let amount = |name: &str, member: &str| Figure::new(name, money(text(all, member), currency));
    let units = |name: &str, member: &str| Figure::new(name, count(number(all, member)));
    let share = |word: &str, member: &str| match percent(text(all, member)) {
        shown if shown.is_empty() => String::new(),
        shown => format!("{word} {shown}"),
    };
    html! {
        (figures(&[
            units("Tickets sold", "ticketsSold").href(format!("{path}/attendees"))
                .note(share("of all", "sellThrough")),
            units("Given away", "comps").href(format!("{path}/attendees")),
            amount("Gross sales", "grossSales").href(format!("{path}/sales")),
            units("Orders that were paid", "orders").href(format!("{path}/orders"))
                .note(match text(all, "averageOrder") {
                    "" => String::new(),
                    average => format!("on average {average} {currency}"),
                }),
            amount("Refunds", "refunds").href(format!("{path}/refunds"))
                .note(share("of payments", "refundRate")),
            amount("Open chargebacks", "chargebacksOpen").href(format!("{path}/postings?posting=P10"))
                .note(share("of card payments", "chargebackRate")),
            amount("Discounts", "discounts").href(format!("{path}/orders")),
        ]))
        p.note {
            "As of " (time::time(text(all, "asOf"))) ", with every record of the ledger up to "
            (count(number(all, "ledgerPosition"))) "."
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_there_is_short() {
        assert_eq!(
            local("2026-11-21T16:44:10.559117+01:00[Europe/Berlin]"),
            "2026-11-21 16:44 Europe/Berlin"
        );
        assert_eq!(local(""), "");
    }
}
