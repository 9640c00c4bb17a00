//! Money back: of an order, of one ticket, and trying again what failed.
//!
//! **Invariant.** Every refund is asked for with a reason, and the same form sent twice pays back
//! once.

use florin_platform::http::router::Routes;
use maud::{Markup, Render, html};
use serde_json::{Value, json};

use super::{event_path, order_path};
use crate::Console;
use crate::api::{flag, items, segment, text};
use crate::reply::{Failure, Outcome, Reply};
use crate::ui::badge::badge;
use crate::ui::confirm::{Confirm, reason};
use crate::ui::money::money;
use crate::ui::table::Table;
use crate::ui::{form, link_short, short, time};
use crate::visit::{Visit, post};

pub fn routes(routes: Routes<Console>) -> Routes<Console> {
    let routes = post(routes, "/console/ticketing/orders/{id}/refunds", refund);
    post(routes, "/console/ticketing/refunds/{id}/retry", retry)
}

/// Refunds an order: all tickets that live, or a part of each.
pub fn button(visit: &Visit, order: &Value) -> Markup {
    let currency = text(order, "currency");
    let label = format!("So much of each ticket, in {currency}; empty: all that is left");
    Confirm {
        id: "refund",
        label: "Refund",
        text: html! {
            "Of " (money(text(order, "amounts.total"), currency)) " the buyer has got "
            (money(text(order, "refundedAmount"), currency)) " back. Gates refuse the tickets at "
            "once, the money follows the way it came. This cannot be undone."
        },
        action: &format!("{}/refunds", order_path(text(order, "id"))),
        fields: html! {
            (reason())
            (form::text("amount", &label, "", false))
            (form::check("keep", "The tickets stay good (goodwill)", "yes", false))
            (form::check("force", "Tickets that were used, too", "yes", false))
        },
        danger: true,
    }
    .render(visit)
}

/// Refunds one ticket from a list, and comes back to it.
pub fn ticket_button(visit: &Visit, attendee: &Value, event: &str) -> Markup {
    let lives = matches!(text(attendee, "status"), "valid" | "used");
    if !lives || !visit.me.may("orders:refund") {
        return html! {};
    }
    let ticket = text(attendee, "ticketId");
    Confirm {
        id: &format!("refund-{ticket}"),
        label: "Refund",
        text: html! {
            "Ticket " (text(attendee, "number")) ": gates refuse it at once, and all that was paid "
            "for it goes back. This cannot be undone."
        },
        action: &format!("{}/refunds", order_path(text(attendee, "orderId"))),
        fields: html! {
            (reason())
            input type="hidden" name="ticket" value=(ticket);
            input type="hidden" name="event" value=(event);
            @if text(attendee, "status") == "used" {
                (form::check("force", "It was used; refund it all the same", "yes", false))
            }
        },
        danger: true,
    }
    .render(visit)
}

/// Refunds of one order.
pub fn table(visit: &Visit, refunds: &[Value]) -> Markup {
    let columns = Table::new("Refunds").columns(&["Refund", "State"]);
    fill(visit, columns, refunds, |_| Vec::new())
}

/// Refunds of many orders, each with the way to its own.
pub fn list(visit: &Visit, refunds: &[Value]) -> Markup {
    let columns = Table::new("Refunds").columns(&["Order", "Refund", "State"]);
    fill(visit, columns, refunds, |refund| {
        let order = text(refund, "orderId");
        vec![link_short(&format!("{}#refunds", order_path(order)), order)]
    })
}

fn fill(
    visit: &Visit,
    table: Table,
    refunds: &[Value],
    first: impl Fn(&Value) -> Vec<Markup>,
) -> Markup {
    let table = table
        .number("Amount")
        .columns(&["Why", "Tickets", "By way of", "Created", ""])
        .empty("Nothing was refunded.")
        .rows(refunds, |refund| {
            let currency = text(refund, "currency");
            let mut cells = first(refund);
            cells.extend([
                short(text(refund, "id")),
                state(refund),
                money(text(refund, "amount"), currency),
                why(refund),
                tickets(refund, currency),
                html! { (text(refund, "method")) },
                time::time(text(refund, "createdAt")),
                again(visit, refund),
            ]);
            cells
        });
    table.render()
}

fn state(refund: &Value) -> Markup {
    html! {
        (badge(text(refund, "status")))
        @if !text(refund, "failure").is_empty() {
            " " span.note { (text(refund, "failure")) }
        }
    }
}

fn why(refund: &Value) -> Markup {
    let (event, job) = (text(refund, "eventId"), text(refund, "jobId"));
    html! {
        (text(refund, "reason")) " " span.note { (text(refund, "cause")) }
        @if !job.is_empty() {
            " " a href={ (event_path(event)) "/refund-jobs/" (segment(job)) } { "of the whole event" }
        }
    }
}

fn tickets(refund: &Value, currency: &str) -> Markup {
    html! {
        @for ticket in items(refund, "tickets") {
            (short(text(ticket, "ticketId"))) " "
            (money(text(ticket, "amount"), currency)) " "
        }
        @if flag(refund, "keepTickets") { span.note { "stay good" } }
    }
}

fn again(visit: &Visit, refund: &Value) -> Markup {
    if text(refund, "status") != "failed" || !visit.me.may("orders:refund") {
        return html! {};
    }
    let id = text(refund, "id");
    Confirm {
        id: &format!("retry-{id}"),
        label: "Try again",
        text: html! {
            (money(text(refund, "amount"), text(refund, "currency")))
            " go back the way they came, or into a wallet of the same currency."
        },
        action: &format!("/console/ticketing/refunds/{}/retry", segment(id)),
        fields: html! {
            (form::text("wallet", "Wallet to pay into", "", false))
            input type="hidden" name="order" value=(text(refund, "orderId"));
        },
        danger: false,
    }
    .render(visit)
}

async fn refund(visit: Visit) -> Outcome {
    let id = visit.param("id");
    if visit.form("reason").is_empty() {
        return Err(Failure::Bad("A refund needs a reason.".to_owned()));
    }
    let mut body = json!({"reason": visit.form("reason")});
    match visit.form("ticket") {
        "" => body["all"] = true.into(),
        ticket => body["ticketIds"] = json!([ticket]),
    }
    if !visit.form("amount").is_empty() {
        body["amountPerTicket"] = visit.form("amount").into();
    }
    for (field, member) in [("keep", "keepTickets"), ("force", "force")] {
        if visit.form(field) == "yes" {
            body[member] = true.into();
        }
    }
    let ask = visit
        .api
        .post(format!("/api/v1/orders/{}/refunds", segment(id)));
    let ask = ask.idempotency_key(visit.once());
    let result = ask.json_body(&body).json().await;
    let back = match visit.form("event") {
        "" => format!("{}#refunds", order_path(id)),
        event => format!("{}/attendees", event_path(event)),
    };
    Reply::after(
        result,
        back,
        "The refund is on its way; gates refuse what it covers.",
    )
}

async fn retry(visit: Visit) -> Outcome {
    let path = format!("/api/v1/refunds/{}/retry", segment(visit.param("id")));
    let body = match visit.form("wallet") {
        "" => json!({}),
        wallet => json!({"to": "wallet", "walletId": wallet}),
    };
    let ask = visit.api.post(path).idempotency_key(visit.once());
    let result = ask.json_body(&body).json().await;
    let back = format!("{}#refunds", order_path(visit.form("order")));
    Reply::after(result, back, "The refund is on its way again.")
}
