//! The one table of parts: what is opened once for all roles of a process, and in which order.

/// Something that is opened once for all roles of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// The service tables.
    Tables,
    /// The audit log.
    Audit,
    /// Users, tokens, API keys.
    Identity,
    /// The ledger.
    Ledger,
    /// Topics.
    Bus,
    /// Webhooks and their deliveries.
    Webhooks,
    /// Documents and files.
    Blobs,
    /// The shadow ledger.
    Shadow,
    /// Ticketing.
    Ticketing,
    /// The console.
    Console,
}

/// A part: its name, what it is, what must be open before it.
#[derive(Debug)]
pub struct PartRow {
    /// Which part.
    pub part: Part,
    /// Its name.
    pub name: &'static str,
    /// What it is.
    pub about: &'static str,
    /// What must be open before.
    pub needs: &'static [Part],
}

/// All parts in the order of their start; they stop in the reverse order.
pub const PARTS: &[PartRow] = &[
    PartRow {
        part: Part::Blobs,
        name: "blobs",
        about: "documents and files, `blobs/` in the data directory or a bucket",
        needs: &[],
    },
    PartRow {
        part: Part::Tables,
        name: "tables",
        about: "service tables: `florin.db` in the data directory, or the PostgreSQL server of `database.url`",
        needs: &[],
    },
    PartRow {
        part: Part::Audit,
        name: "audit",
        about: "hash-chained audit log",
        needs: &[Part::Tables],
    },
    PartRow {
        part: Part::Identity,
        name: "identity",
        about: "users, tokens, API keys, roles",
        needs: &[Part::Tables, Part::Audit],
    },
    PartRow {
        part: Part::Ledger,
        name: "ledger",
        about: "the ledger: `ledger/` in the data directory, one process at a time, or the PostgreSQL server of `ledger.url`",
        needs: &[],
    },
    PartRow {
        part: Part::Bus,
        name: "bus",
        about: "topics inside the process, or of the brokers of `bus.url`",
        needs: &[Part::Tables],
    },
    PartRow {
        part: Part::Webhooks,
        name: "webhooks",
        about: "endpoints and deliveries",
        needs: &[Part::Tables, Part::Bus, Part::Ledger],
    },
    PartRow {
        part: Part::Shadow,
        name: "shadow",
        about: "shadow ledger: `shadow.db` in the data directory, or the PostgreSQL server of `database.url`",
        needs: &[Part::Tables],
    },
    PartRow {
        part: Part::Ticketing,
        name: "ticketing",
        about: "ticketing: `ticketing.db` in the data directory, or the PostgreSQL server of `database.url`",
        needs: &[
            Part::Tables,
            Part::Audit,
            Part::Ledger,
            Part::Blobs,
            Part::Webhooks,
        ],
    },
    PartRow {
        part: Part::Console,
        name: "console",
        about: "sign-ins of the console, and its way to the API",
        needs: &[],
    },
];
