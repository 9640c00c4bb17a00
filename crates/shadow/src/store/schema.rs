//! The tables of this room; mirrored for both databases.

use florin_platform::sql::{Migration, Migrations};

/// Log, books, entries, blocks, dead letters, checkpoints.
pub const MIGRATIONS: Migrations = Migrations {
    room: "shadow",
    steps: &[
        Migration {
            version: 1,
            name: "log",
            sqlite: include_str!("../../migrations/sqlite/0001_log.sql"),
            postgres: include_str!("../../migrations/postgres/0001_log.sql"),
        },
        Migration {
            version: 10,
            name: "statements",
            sqlite: include_str!("../../migrations/sqlite/0010_statements.sql"),
            postgres: include_str!("../../migrations/postgres/0010_statements.sql"),
        },
        Migration {
            version: 11,
            name: "matches",
            sqlite: include_str!("../../migrations/sqlite/0011_matches.sql"),
            postgres: include_str!("../../migrations/postgres/0011_matches.sql"),
        },
        Migration {
            version: 20,
            name: "corrections",
            sqlite: include_str!("../../migrations/sqlite/0020_corrections.sql"),
            postgres: include_str!("../../migrations/postgres/0020_corrections.sql"),
        },
        Migration {
            version: 21,
            name: "drift",
            sqlite: include_str!("../../migrations/sqlite/0021_drift.sql"),
            postgres: include_str!("../../migrations/postgres/0021_drift.sql"),
        },
        Migration {
            version: 22,
            name: "links",
            sqlite: include_str!("../../migrations/sqlite/0022_links.sql"),
            postgres: include_str!("../../migrations/postgres/0022_links.sql"),
        },
        Migration {
            version: 23,
            name: "monitors",
            sqlite: include_str!("../../migrations/sqlite/0023_monitors.sql"),
            postgres: include_str!("../../migrations/postgres/0023_monitors.sql"),
        },
        Migration {
            version: 24,
            name: "outlines",
            sqlite: include_str!("../../migrations/sqlite/0024_outlines.sql"),
            postgres: include_str!("../../migrations/postgres/0024_outlines.sql"),
        },
        Migration {
            version: 25,
            name: "installation",
            sqlite: include_str!("../../migrations/sqlite/0025_installation.sql"),
            postgres: include_str!("../../migrations/postgres/0025_installation.sql"),
        },
        Migration {
            version: 26,
            name: "room_in_books",
            sqlite: include_str!("../../migrations/sqlite/0026_room_in_books.sql"),
            postgres: include_str!("../../migrations/postgres/0026_room_in_books.sql"),
        },
    ],
};
