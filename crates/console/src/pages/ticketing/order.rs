//! `GET /console/ticketing/orders/{id}`: an order with its lines, holds, payment, refunds, and the
//! transfers of the ledger that it is made of.

use florin_platform::http::router::Routes;
use futures_util::future::{join, join3};
use maud::{Markup, Render, html};
use serde_json::{Value, json};

use super::orders::buyer;
use super::{attendees, event_path, order_path, org_path, postings, refunds};
use crate::Console;
use crate::api::{ApiError, flag, items, number, segment, text};
use crate::reply::{Outcome, Page, Reply};
use crate::ui::badge::{Mood, badge, badge_as};
use crate::ui::confirm::Confirm;
use crate::ui::facts::{Facts, Figure, figures};
use crate::ui::money::{count, money};
use crate::ui::table::Table;
use crate::ui::{either, form, section, short, time};
use crate::visit::{Visit, get, post};

pub fn routes(routes: Routes<Console>) -> Routes<Console> {
    let routes = get(routes, "/console/ticketing/orders/{id}", show);
    let routes = post(routes, "/console/ticketing/orders/{id}/resend", |visit| {
        act(visit, "resend", "The mail with the tickets is on its way.")
    });
    post(routes, "/console/ticketing/orders/{id}/cancel", |visit| {
        act(visit, "cancel", "The order is cancelled.")
    })
}

async fn show(visit: Visit) -> Outcome {
    let path = format!("/api/v1/orders/{}", segment(visit.param("id")));
    if visit.exports() {
        return postings::export("order-postings", format!("{path}/postings"), &visit).await;
    }
    let order = visit.api.get(path.as_str()).json().await?;
    let event = format!("/api/v1/events/{}", segment(text(&order, "eventId")));
    let types = visit.api.get(format!("{event}/ticket-types")).json();
    let tickets = visit.api.get(format!("{event}/attendees"));
    let tickets = tickets.query("orderId", text(&order, "id"));
    let tickets = tickets.query("limit", "500").json();
    let back = visit.api.get(format!("{path}/refunds")).json();
    let posted = visit.api.get(format!("{path}/postings"));
    let posted = posted.query("limit", "500").json();
    let event = visit.api.get(event).json();
    let ((event, disputes, tickets), (types, back, posted)) = join(
        join3(event, disputes(&visit, text(&order, "id")), tickets),
        join3(types, back, posted),
    )
    .await;
    let types = types.unwrap_or_default();
    let title = event.as_ref().map_or("", |event| text(event, "title"));
    let content = html! {
        (totals(&order))
        (facts(&order, title))
        (section("items", "What was ordered", lines(&order, &types)))
        (section("tickets", "Tickets", either(&tickets, |page| of_order(&visit, &order, &types, page))))
        (section("holds", "Holds", holds(&order, &types)))
        @if let Some(disputes) = &disputes {
            (section("disputes", "Disputes", either(disputes, |page| disputed(items(page, "items")))))
        }
        (section("refunds", "Refunds", either(&back, |page| refunds::table(&visit, items(page, "items")))))
        (section("postings", "In the ledger", either(&posted, |page| html! {
            (postings::table(items(page, "items")))
            @if !text(page, "nextCursor").is_empty() { p.note { "The first 500; the file has all." } }
            p { a.export href=(visit.here_with(&[("export", "csv")])) download { "Export CSV" } }
        })))
    };
    let beside = html! {
        (badge(text(&order, "status"))) " "
        @if flag(&order, "needsReview") { (badge_as("needs review", Mood::Bad)) " " }
        (buttons(&visit, &order))
    };
    let title = format!("Order {}", text(&order, "number"));
    Ok(Page::new(title, content).beside(beside).into())
}

/// Disputes, where the visitor may see them.
async fn disputes(visit: &Visit, order: &str) -> Option<Result<Value, ApiError>> {
    if !visit.me.may_all("ticketing:admin") {
        return None;
    }
    let ask = visit.api.get("/api/v1/payments/disputes");
    Some(ask.query("orderId", order).json().await)
}

fn totals(order: &Value) -> Markup {
    let currency = text(order, "currency");
    let figure = |name: &str, member: &str, rows: &str| {
        Figure::new(name, money(text(order, member), currency)).href(rows)
    };
    let fees = match text(order, "feePayer") {
        "organizer" => "the organiser's to pay",
        _ => "in the total",
    };
    figures(&[
        figure("Total", "amounts.total", "#items"),
        figure("Tickets", "amounts.tickets", "#items"),
        figure("Discount", "amounts.discount", "#items"),
        figure("Tax", "amounts.tax", "#items"),
        figure("Platform fee", "amounts.platformFee", "#postings").note(fees),
        figure("Processing fee", "amounts.processingFee", "#postings").note(fees),
        figure("Refunded", "refundedAmount", "#refunds"),
    ])
}

fn facts(order: &Value, event: &str) -> Facts {
    let id = text(order, "eventId");
    let facts = Facts::new()
        .add("Id", html! { code { (text(order, "id")) } })
        .add(
            "Event",
            html! {
                a href=(event_path(id)) { @if event.is_empty() { (short(id)) } @else { (event) } }
            },
        )
        .add(
            "Organisation",
            html! { a href=(org_path(text(order, "orgId"))) { (short(text(order, "orgId"))) } },
        )
        .add("Buyer", buyer(order))
        .add_text("Phone", text(order, "buyer.phone"))
        .add(
            "Payment",
            html! {
                (text(order, "payment.method")) " " (badge(text(order, "payment.status")))
            },
        )
        .add_text("Sold through", text(order, "channel"))
        .add("Created", time::time(text(order, "createdAt")))
        .add("Confirmed", time::time(text(order, "confirmedAt")));
    let facts = match text(order, "expiresAt") {
        "" => facts,
        at => facts.add("Expires", time::ago(at)),
    };
    match flag(order, "lateHonoured") {
        true => facts.add("Late", "It was paid after it had expired, and honoured."),
        false => facts,
    }
}

/// Name of a ticket type.
fn kind<'v>(types: &'v Value, id: &'v str) -> &'v str {
    let found = items(types, "items").iter();
    let found = found.clone().find(|kind| text(kind, "id") == id);
    found.map_or(id, |kind| text(kind, "name"))
}

fn lines(order: &Value, types: &Value) -> Markup {
    let currency = text(order, "currency");
    let attendees = format!("{}/attendees", event_path(text(order, "eventId")));
    let table = Table::new("Lines of the order")
        .column("Type")
        .number("Units")
        .number("Price")
        .number("Discount")
        .number("Tax")
        .number("Total")
        .rows(items(order, "items"), |item| {
            let amount = |member| money(text(item, member), currency);
            let id = text(item, "ticketTypeId");
            vec![
                html! {
                    a href={ (attendees) "?ticketTypeId=" (segment(id)) } { (kind(types, id)) }
                },
                count(number(item, "quantity")),
                amount("unitPrice"),
                amount("discount"),
                amount("tax"),
                amount("total"),
            ]
        });
    table.render()
}

fn of_order(visit: &Visit, order: &Value, types: &Value, page: &Value) -> Markup {
    let kinds = items(types, "items").iter();
    let kinds: Vec<_> = kinds
        .map(|one| (text(one, "id"), text(one, "name")))
        .collect();
    let tickets = items(page, "items");
    let table = attendees::table(visit, tickets, &kinds, text(order, "eventId"));
    table.empty("It has no tickets yet.").render()
}

fn holds(order: &Value, types: &Value) -> Markup {
    let table = Table::new("Holds of the order")
        .columns(&["Hold", "Type"])
        .number("Units")
        .columns(&["State", "Expires"])
        .empty("Nothing was held.")
        .rows(items(order, "holds"), |hold| {
            vec![
                short(text(hold, "id")),
                html! { (kind(types, text(hold, "ticketTypeId"))) },
                count(number(hold, "quantity")),
                badge(text(hold, "state")),
                time::time(text(hold, "expiresAt")),
            ]
        });
    table.render()
}

fn disputed(disputes: &[Value]) -> Markup {
    let table = Table::new("Disputes of the payment")
        .columns(&["Dispute", "State"])
        .number("Amount")
        .number("Fee")
        .columns(&["Opened", "Closed"])
        .empty("The payment is not disputed.")
        .rows(disputes, |dispute| {
            let currency = text(dispute, "currency");
            vec![
                short(text(dispute, "providerId")),
                badge(text(dispute, "state")),
                money(text(dispute, "amount"), currency),
                money(text(dispute, "fee"), currency),
                time::time(text(dispute, "openedAt")),
                time::time(text(dispute, "closedAt")),
            ]
        });
    table.render()
}

fn buttons(visit: &Visit, order: &Value) -> Markup {
    let path = order_path(text(order, "id"));
    let status = text(order, "status");
    let good = matches!(status, "confirmed" | "partially_refunded");
    let open = matches!(status, "reserved" | "pending");
    html! {
        @if good && visit.me.may("tickets:manage") {
            (form::button(visit, &format!("{path}/resend"), "Send tickets again")) " "
        }
        @if open && visit.me.may("tickets:manage") {
            (Confirm {
                id: "cancel",
                label: "Cancel order",
                text: html! { "What it holds is for sale again. The buyer can begin anew." },
                action: &format!("{path}/cancel"),
                fields: html! {},
                danger: true,
            }.render(visit)) " "
        }
        @if good && visit.me.may("orders:refund") { (refunds::button(visit, order)) }
    }
}

async fn act(visit: Visit, what: &'static str, done: &'static str) -> Outcome {
    let id = visit.param("id");
    let path = format!("/api/v1/orders/{}/{what}", segment(id));
    let result = visit.api.post(path).json_body(&json!({})).json().await;
    Reply::after(result, order_path(id), done)
}
