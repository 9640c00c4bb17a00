//! The migrations of this room, mirrored for both databases.

use florin_platform::sql::{Migration, Migrations};

macro_rules! step {
    ($version:literal, $name:literal, $file:literal) => {
        Migration {
            version: $version,
            name: $name,
            sqlite: include_str!(concat!("../../migrations/sqlite/", $file)),
            postgres: include_str!(concat!("../../migrations/postgres/", $file)),
        }
    };
}

/// Tables that begin with `tk_`.
pub const MIGRATIONS: Migrations = Migrations {
    room: "ticketing",
    steps: &[
        step!(1, "foundation", "0001_foundation.sql"),
        step!(2, "events", "0002_events.sql"),
        step!(3, "search", "0003_search.sql"),
        step!(10, "orders", "0010_orders.sql"),
        step!(11, "refunds", "0011_refunds.sql"),
        step!(12, "payouts", "0012_payouts.sql"),
        step!(20, "card", "0020_card.sql"),
        step!(30, "tickets", "0030_tickets.sql"),
        step!(31, "gate", "0031_gate.sql"),
        step!(32, "provenance", "0032_provenance.sql"),
        step!(40, "analytics", "0040_analytics.sql"),
        step!(41, "counts", "0041_counts.sql"),
        step!(42, "found_by_key", "0042_found_by_key.sql"),
        step!(43, "refunds_of_an_event", "0043_refunds_of_an_event.sql"),
    ],
};
