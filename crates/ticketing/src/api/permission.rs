//! Permissions of this room (contract A1).
//!
//! Every signed-in person holds those of an organisation with reach `own`: in the organisations
//! where membership gives them ([`super::scope`]). Platform roles hold them for all.

use florin_platform::http::auth::Permission;

/// Buy: POST orders, checkout, own orders.
pub const ORDERS_BUY: Permission = Permission::new("orders:buy");
/// Own tickets.
pub const TICKETS_OWN: Permission = Permission::new("tickets:own");
/// Create an organisation.
pub const ORGS_CREATE: Permission = Permission::new("orgs:create");
/// See an organisation and its members.
pub const ORGS_READ: Permission = Permission::new("orgs:read");
/// Change an organisation and its members.
pub const ORGS_WRITE: Permission = Permission::new("orgs:write");
/// Events, types, pools, promo codes, images.
pub const EVENTS_WRITE: Permission = Permission::new("events:write");
/// Orders and attendees of an event.
pub const ORDERS_READ: Permission = Permission::new("orders:read");
/// Refunds.
pub const ORDERS_REFUND: Permission = Permission::new("orders:refund");
/// Comps, void, reissue, holder.
pub const TICKETS_MANAGE: Permission = Permission::new("tickets:manage");
/// Scan bundles and the list of check-ins.
pub const CHECKINS_READ: Permission = Permission::new("checkins:read");
/// Check in.
pub const CHECKINS_WRITE: Permission = Permission::new("checkins:write");
/// Devices of the gate.
pub const DEVICES_WRITE: Permission = Permission::new("devices:write");
/// Balance, payouts, postings.
pub const PAYOUTS_READ: Permission = Permission::new("payouts:read");
/// Ask for a payout.
pub const PAYOUTS_WRITE: Permission = Permission::new("payouts:write");
/// Figures.
pub const ANALYTICS_READ: Permission = Permission::new("analytics:read");
/// Exports.
pub const EXPORTS_WRITE: Permission = Permission::new("exports:write");
/// Webhooks of an organisation.
pub const HOOKS_WRITE: Permission = Permission::new("hooks:write");
/// Fee rules, payout marks, verification, payments.
pub const TICKETING_ADMIN: Permission = Permission::new("ticketing:admin");
/// Export and erase persons.
pub const PRIVACY_MANAGE: Permission = Permission::new("privacy:manage");
/// Figures over organisations.
pub const PLATFORM_ANALYTICS: Permission = Permission::new("platform:analytics");

/// Every permission of this room.
pub const ALL: [Permission; 20] = [
    ORDERS_BUY,
    TICKETS_OWN,
    ORGS_CREATE,
    ORGS_READ,
    ORGS_WRITE,
    EVENTS_WRITE,
    ORDERS_READ,
    ORDERS_REFUND,
    TICKETS_MANAGE,
    CHECKINS_READ,
    CHECKINS_WRITE,
    DEVICES_WRITE,
    PAYOUTS_READ,
    PAYOUTS_WRITE,
    ANALYTICS_READ,
    EXPORTS_WRITE,
    HOOKS_WRITE,
    TICKETING_ADMIN,
    PRIVACY_MANAGE,
    PLATFORM_ANALYTICS,
];
