//! The routes of ticketing: one file per resource, in three groups.
//!
//! **Boundary.** A handler checks permission, scope, shape and grammar, calls the part that
//! decides, and prints. Every route needs one permission of contract A1; in organisations it is
//! held by membership ([`scope`]).
//!
//! **For those who add routes:** write `routes() -> Routes<Ticketing>` beside your handlers and
//! merge it in one of the groups below.

pub mod analytics;
pub mod check;
pub mod dev_mails;
pub mod events;
pub mod fee_rules;
pub mod gate;
pub mod given;
pub mod images;
pub mod input;
pub mod media;
pub mod members;
pub mod money;
pub mod once;
pub mod orders;
pub mod orgs;
pub mod pages;
pub mod payments;
pub mod payouts;
pub mod permission;
pub mod pools;
pub mod postings;
pub mod privacy;
pub mod problem;
pub mod promo_codes;
pub mod provenance;
pub mod refund_lists;
pub mod refunds;
pub mod scope;
pub mod ticket_types;
pub mod tickets;
pub mod transfers;
pub mod webhooks;

use florin_platform::http::router::Routes;

use crate::Ticketing;

/// Events, organisations, tickets, gate, provenance (contract A, D, F, G).
pub fn event_routes() -> Routes<Ticketing> {
    Routes::new()
        .merge(orgs::routes())
        .merge(members::routes())
        .merge(events::routes())
        .merge(ticket_types::routes())
        .merge(pools::routes())
        .merge(promo_codes::routes())
        .merge(images::routes())
        .merge(media::routes())
        .merge(dev_mails::routes())
        .merge(privacy::routes())
        .merge(webhooks::routes())
        .merge(tickets::routes())
        .merge(transfers::routes())
        .merge(gate::routes())
        .merge(provenance::routes())
}

/// Orders and money (contract B, C).
pub fn order_routes() -> Routes<Ticketing> {
    Routes::new()
        .merge(orders::routes())
        .merge(refunds::routes())
        .merge(refund_lists::routes())
        .merge(payouts::routes())
        .merge(fee_rules::routes())
        .merge(postings::routes())
        .merge(payments::routes())
}

/// Analytics (contract E).
pub fn analytics_routes() -> Routes<Ticketing> {
    analytics::routes()
}
