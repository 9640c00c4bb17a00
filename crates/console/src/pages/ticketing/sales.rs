//! `GET /console/ticketing/events/{id}/sales`: sales by day, hour, type, channel or source.

use florin_platform::http::router::Routes;
use futures_util::future::join3;
use maud::{Markup, html};
use serde_json::{Value, json};

use super::{api_event, csv, event_of, event_page, event_path};
use crate::Console;
use crate::api::{items, number, segment, text};
use crate::reply::{Failure, Outcome};
use crate::ui::chart::{Bar, bars};
use crate::ui::filter::Filter;
use crate::ui::money::{count, money};
use crate::ui::table::{Table, pager};
use crate::ui::time;
use crate::visit::{Visit, get};

const GROUPS: [(&str, &str); 5] = [
    ("day", "By day"),
    ("hour", "By hour"),
    ("type", "By ticket type"),
    ("channel", "By channel"),
    ("source", "By source"),
];
const COLUMNS: csv::Columns = &[
    ("Group", "group"),
    ("Tickets", "tickets"),
    ("Orders", "orders"),
    ("Gross", "gross"),
    ("Currency", "currency"),
];
/// Most rows drawn as bars.
const DRAWN: usize = 60;

pub fn routes(routes: Routes<Console>) -> Routes<Console> {
    get(routes, "/console/ticketing/events/{id}/sales", show)
}

/// What a row is about, as text.
fn group(row: &Value) -> String {
    for member in ["start", "ticketTypeId", "channel"] {
        if !text(row, member).is_empty() {
            return text(row, member).to_owned();
        }
    }
    match &row["source"] {
        Value::String(word) => word.clone(),
        Value::Object(parts) => {
            let part = |(name, value): (&String, &Value)| {
                let value = value.as_str().unwrap_or_default();
                format!("{name}={value}")
            };
            parts.iter().map(part).collect::<Vec<_>>().join(" ")
        }
        _ => String::new(),
    }
}

async fn show(visit: Visit) -> Outcome {
    let by = match visit.query("groupBy") {
        "" => "day",
        given => given,
    };
    let bound = |name: &str| {
        let sent = time::sent(visit.query(name));
        sent.ok_or_else(|| Failure::Bad(format!("“{name}” is no time.")))
    };
    let id = segment(visit.param("id"));
    let ask = visit
        .api
        .get(format!("/api/v1/analytics/events/{id}/sales"));
    let ask = ask
        .query("groupBy", by)
        .query("from", bound("from")?)
        .query("to", bound("to")?)
        .json();
    let types = visit.api.get(api_event(&visit, "/ticket-types")).json();
    let (event, sales, types) = join3(event_of(&visit), ask, types).await;
    let (event, sales) = (event?, sales?);
    let types = types.unwrap_or_default();
    let name = |row: &Value| {
        let group = group(row);
        let kind = items(&types, "items").iter();
        let kind = kind.map(|kind| (text(kind, "id"), text(kind, "name")));
        let named = kind.clone().find(|(id, _)| *id == group);
        named.map_or(group, |(_, name)| name.to_owned())
    };
    let (currency, zone) = (text(&sales, "currency"), text(&sales, "timeZone"));
    let rows = items(&sales, "items");
    if visit.exports() {
        let flat = |row: &Value| {
            json!({"group": name(row), "tickets": row["tickets"], "orders": row["orders"],
                "gross": row["gross"], "currency": currency})
        };
        let flat: Vec<Value> = rows.iter().map(flat).collect();
        return csv::whole("sales", COLUMNS, &flat);
    }
    let content = html! {
        ul.tabs {
            @for (word, label) in GROUPS {
                li {
                    a href=(visit.here_with(&[("groupBy", word)]))
                        aria-current=[(word == by).then_some("true")] { (label) }
                }
            }
        }
        (Filter::new(&visit).choice("groupBy", "Group", &GROUPS.map(|(word, _)| word))
            .time("from", "From").time("to", "To").render())
        @if rows.len() <= DRAWN {
            (bars("Tickets", &rows.iter().map(|row| {
                let sold = number(row, "tickets");
                Bar::new("", sold as f64, count(sold)).label(label(by, &name(row), zone))
            }).collect::<Vec<_>>()))
        }
        (table(rows, by, &sales, &event_path(text(&event, "id")), &name))
        p.note { "Days and hours are those of " (zone) "." }
        (pager(&visit, &sales, true))
    };
    Ok(event_page(&visit, &event, "/sales", content).into())
}

/// A group by its name; days and hours as they are where the event is.
fn label(by: &str, name: &str, zone: &str) -> Markup {
    match by {
        "day" | "hour" => time::there(name, zone, by == "hour"),
        _ => html! { (name) },
    }
}

fn table(
    rows: &[Value],
    by: &str,
    sales: &Value,
    path: &str,
    name: &dyn Fn(&Value) -> String,
) -> Table {
    let currency = text(sales, "currency");
    let place = |row: &Value| -> Markup {
        let label = label(by, &name(row), text(sales, "timeZone"));
        match by {
            "type" => html! {
                a href={ (path) "/attendees?ticketTypeId=" (segment(text(row, "ticketTypeId"))) } { (label) }
            },
            _ => label,
        }
    };
    Table::new("Sales")
        .column("Group")
        .number("Tickets")
        .number("Orders that were paid")
        .number("Gross")
        .empty("Nothing has been sold.")
        .rows(rows, |row| {
            vec![
                place(row),
                html! { a href={ (path) "/attendees" } { (count(number(row, "tickets"))) } },
                html! { a href={ (path) "/orders" } { (count(number(row, "orders"))) } },
                money(text(row, "gross"), currency),
            ]
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_says_what_it_is_about() {
        assert_eq!(group(&json!({"channel": "online", "tickets": 1})), "online");
        assert_eq!(group(&json!({"source": "direct"})), "direct");
        let source = json!({"source": {"ref": "x", "utmSource": "mail"}});
        assert_eq!(group(&source), "ref=x utmSource=mail");
        let day = label("day", "2030-06-29T10:00:00.000000Z", "Europe/Berlin").into_string();
        assert!(day.contains("data-there=\"Europe/Berlin\""), "{day}");
        assert_eq!(label("channel", "online", "UTC").into_string(), "online");
    }
}
