//! The one table of roles: what a role initialises, which routes and workers it brings, and
//! its port when it runs alone. Start order, stop order, `florin roles` and the reference page
//! come from here.
//!
//! Names and ports are those of the deployment contract, part A1. A role stands here when it
//! works; without roles one process has them all, behind one listener.

use std::future::Future;
use std::pin::Pin;

use florin_platform::http::router::{BoundRoutes, Description};
use florin_platform::http::shutdown::Shutdown;
use florin_platform::{audit, identity, webhooks};
use florin_wallets::api;

use crate::fail::failure;
use crate::serve::parts::Wired;
use crate::serve::watch;

/// Something that is opened once for all roles of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// The service tables.
    Tables,
    /// The audit log.
    Audit,
    /// Users, tokens, API keys.
    Identity,
    /// The embedded ledger.
    Ledger,
    /// Webhooks and their deliveries.
    Webhooks,
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
        about: "embedded ledger, `ledger/` in the data directory; one process at a time",
        needs: &[],
    },
    PartRow {
        part: Part::Webhooks,
        name: "webhooks",
        about: "endpoints and deliveries",
        needs: &[Part::Tables, Part::Ledger],
    },
];

/// A running worker.
pub type Working = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Something that runs for as long as the role does.
#[derive(Debug)]
pub struct Worker {
    /// Its name.
    pub name: &'static str,
    /// What it does.
    pub about: &'static str,
    /// Starts it; it ends when draining begins.
    pub start: fn(&Wired, Shutdown) -> Working,
}

/// A role.
#[derive(Debug)]
pub struct Role {
    /// Name, as in `--role`.
    pub name: &'static str,
    /// Port when it runs without other roles.
    pub port: u16,
    /// What it is for.
    pub about: &'static str,
    /// What it initialises, beside what that needs.
    pub parts: &'static [Part],
    /// Its routes, without state.
    pub describe: fn() -> Description,
    /// Its routes, over the open parts.
    pub mount: fn(&Wired) -> Vec<BoundRoutes>,
    /// Its workers.
    pub workers: &'static [Worker],
}

/// Port of a process that has several roles.
pub const SHARED_PORT: u16 = 8080;

/// All roles, in the order of their start.
pub const ROLES: &[Role] = &[
    Role {
        name: "gateway",
        port: 8080,
        about: "log-in, users, API keys, audit trail",
        parts: &[Part::Identity],
        describe: || {
            Description::join([
                identity::api::routes().describe(),
                audit::api::routes().describe(),
            ])
        },
        mount: |wired| {
            vec![
                identity::api::routes().bind(wired.identity_api()),
                audit::api::routes().bind(wired.audit_api()),
            ]
        },
        workers: &[Worker {
            name: "identity",
            about: "rotates signing keys, forgets what expired",
            start: |wired, shutdown| {
                let identity = wired.identity();
                Box::pin(async move {
                    tokio::select! {
                        () = identity.run() => {}
                        () = shutdown.drain() => {}
                    }
                })
            },
        }],
    },
    Role {
        name: "wallets",
        port: 8084,
        about: "wallets, holds and transactions, with the ledger API",
        parts: &[Part::Identity, Part::Ledger],
        describe: || api::routes().describe(),
        mount: |wired| vec![api::routes().bind(wired.api_state())],
        workers: &[Worker {
            name: "ledger-watch",
            about: "measures the ledger, sums it, takes an accepted clock over",
            start: |wired, shutdown| Box::pin(watch::run(wired.watched(), shutdown)),
        }],
    },
    Role {
        name: "workers",
        port: 8088,
        about: "feed readers; webhooks: endpoints, deliveries, replay",
        parts: &[Part::Identity, Part::Webhooks],
        describe: || webhooks::routes().describe(),
        mount: |wired| vec![webhooks::routes().bind(wired.webhooks())],
        workers: &[
            Worker {
                name: "feed-readers",
                about: "read the ledger's change feed into topics and webhooks, each from its own position",
                start: |wired, shutdown| Box::pin(wired.channels().run(shutdown)),
            },
            Worker {
                name: "webhook-deliveries",
                about: "sends events, retries, parks",
                start: |wired, shutdown| Box::pin(wired.webhooks().run(shutdown)),
            },
        ],
    },
];

/// The roles of these names in start order; all of them for no names.
pub fn select(names: &[String]) -> anyhow::Result<Vec<&'static Role>> {
    if let Some(wrong) = names
        .iter()
        .find(|name| !ROLES.iter().any(|role| role.name == **name))
    {
        let known: Vec<&str> = ROLES.iter().map(|role| role.name).collect();
        return Err(failure(
            format!("there is no role `{wrong}`"),
            format!(
                "roles: {}; florin roles tells what they do",
                known.join(", ")
            ),
        ));
    }
    let wanted = |role: &&Role| names.is_empty() || names.iter().any(|name| *name == role.name);
    Ok(ROLES.iter().filter(wanted).collect())
}

/// What these roles initialise, in start order, with everything that is needed before.
pub fn start_order(roles: &[&Role]) -> Vec<&'static PartRow> {
    let mut wanted: Vec<Part> = roles.iter().flat_map(|role| role.parts).copied().collect();
    // From the last part to the first, so that needs of needs are found.
    for row in PARTS.iter().rev() {
        if wanted.contains(&row.part) {
            wanted.extend(row.needs);
        }
    }
    PARTS
        .iter()
        .filter(|row| wanted.contains(&row.part))
        .collect()
}

/// The port of a process with these roles.
pub fn default_port(roles: &[&Role]) -> u16 {
    match roles {
        [only] => only.port,
        _ => SHARED_PORT,
    }
}

/// All routes of all roles, for generated files.
pub fn describe_all() -> Description {
    Description::join(ROLES.iter().map(|role| (role.describe)()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_part_needs_is_started_before_it() {
        for (at, row) in PARTS.iter().enumerate() {
            for need in row.needs {
                assert!(
                    PARTS[..at].iter().any(|before| before.part == *need),
                    "{} needs {need:?}",
                    row.name
                );
            }
        }
    }

    #[test]
    fn a_role_brings_everything_it_needs() {
        let names = |roles: &[&str]| {
            let roles: Vec<String> = roles.iter().map(|name| (*name).to_owned()).collect();
            let roles = select(&roles).expect("known");
            start_order(&roles)
                .iter()
                .map(|row| row.name)
                .collect::<Vec<_>>()
        };
        assert_eq!(names(&["gateway"]), ["tables", "audit", "identity"]);
        assert_eq!(
            names(&["workers"]),
            ["tables", "audit", "identity", "ledger", "webhooks"]
        );
        assert_eq!(names(&[]).len(), PARTS.len());
    }

    #[test]
    fn names_and_ports_are_taken_once() {
        for (at, role) in ROLES.iter().enumerate() {
            assert!(
                !ROLES[..at]
                    .iter()
                    .any(|r| r.name == role.name || r.port == role.port),
                "{}",
                role.name
            );
        }
        let alone = select(&["workers".to_owned()]).expect("known");
        assert_eq!(
            (
                default_port(&alone),
                default_port(&select(&[]).expect("all"))
            ),
            (8088, 8080)
        );
        assert!(select(&["nobody".to_owned()]).is_err());
    }

    #[test]
    fn no_two_roles_claim_a_route() {
        let all = describe_all();
        for pair in all.rows.windows(2) {
            let same = pair[0].path == pair[1].path && pair[0].method == pair[1].method;
            assert!(!same, "{} {}", pair[0].method, pair[0].path);
        }
    }
}
