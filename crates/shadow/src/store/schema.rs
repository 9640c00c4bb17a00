//! The tables of this room; mirrored for both databases.

use florin_platform::sql::{Migration, Migrations};

/// Log, books, entries, blocks, dead letters, checkpoints.
pub const MIGRATIONS: Migrations = Migrations {
    room: "shadow",
    steps: &[Migration {
        version: 1,
        name: "log",
        sqlite: include_str!("../../migrations/sqlite/0001_log.sql"),
        postgres: include_str!("../../migrations/postgres/0001_log.sql"),
    }],
};
