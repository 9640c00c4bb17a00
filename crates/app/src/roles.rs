//! The one table of roles: what a role initialises, which routes and workers it brings, and
//! its port when it runs alone. Start order, stop order, `florin roles` and the reference page
//! come from here and from `parts.rs`.
//!
//! Names and ports are those of the deployment contract, part A1. A role stands here when it
//! works; without roles one process has them all, behind one listener.

mod parts;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use florin_platform::http::router::{BoundRoutes, Description};
use florin_platform::http::shutdown::Shutdown;
use florin_platform::{audit, blobs, identity, webhooks};
use florin_ticketing as ticketing;
use florin_wallets::api;

pub use self::parts::{PARTS, Part, PartRow};
use crate::fail::failure;
use crate::serve::parts::Wired;
use crate::serve::watch;

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
        about: "log-in, users, API keys, audit trail, signed URLs of blobs",
        parts: &[Part::Identity, Part::Blobs],
        describe: || {
            Description::join([
                identity::api::routes().describe(),
                identity::admin::routes().describe(),
                audit::api::routes().describe(),
                blobs::api::routes().describe(),
            ])
        },
        mount: |wired| {
            vec![
                identity::api::routes().bind(wired.identity_api()),
                identity::admin::routes().bind(wired.admin_api()),
                audit::api::routes().bind(wired.audit_api()),
                blobs::api::routes().bind(Arc::new(wired.blobs())),
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
        name: "shadow-events",
        port: 8081,
        about: "shadow ledger: events, batches, topics, dead letters; deadlines",
        parts: &[Part::Identity, Part::Bus, Part::Shadow],
        describe: || florin_shadow::api::event_routes(true).describe(),
        mount: |wired| {
            let aliases = wired.config.shadow.root_aliases;
            vec![florin_shadow::api::event_routes(aliases).bind(wired.shadow_api())]
        },
        workers: &[
            Worker {
                name: "shadow-deadlines",
                about: "decides what is due, at most a second late",
                start: |wired, shutdown| {
                    Box::pin(florin_shadow::worker::deadlines::run(
                        wired.shadow(),
                        shutdown,
                    ))
                },
            },
            Worker {
                name: "shadow-topics",
                about: "takes events and corrections of topics in, as member of group florin-shadow",
                start: |wired, shutdown| wired.take_shadow_topics(shutdown),
            },
        ],
    },
    Role {
        name: "shadow-ledger",
        port: 8082,
        about: "shadow ledger: balances, entries, digests, log, books",
        parts: &[Part::Identity, Part::Shadow],
        describe: || florin_shadow::api::ledger_routes(true).describe(),
        mount: |wired| {
            let aliases = wired.config.shadow.root_aliases;
            vec![florin_shadow::api::ledger_routes(aliases).bind(wired.shadow_api())]
        },
        workers: &[
            Worker {
                name: "shadow-checkpoints",
                about: "signs the end of the shadow log every hour",
                start: |wired, shutdown| {
                    let api = wired.shadow_api();
                    Box::pin(async move {
                        florin_shadow::worker::checkpoint::run(&api.shadow, &*api.signer, shutdown)
                            .await;
                    })
                },
            },
            Worker {
                name: "shadow-measures",
                about: "counts books, events and dead letters of the shadow ledger",
                start: |wired, shutdown| {
                    Box::pin(florin_shadow::worker::measure::run(
                        wired.shadow(),
                        shutdown,
                    ))
                },
            },
        ],
    },
    Role {
        name: "shadow-drift",
        port: 8083,
        about: "shadow ledger: drift checks, corrections, statements, reconciliation, monitors",
        parts: &[Part::Identity, Part::Shadow],
        describe: || {
            Description::join([
                florin_shadow::api::control::routes(true).describe(),
                florin_shadow::api::reconcile::routes().describe(),
            ])
        },
        mount: |wired| {
            let aliases = wired.config.shadow.root_aliases;
            vec![
                florin_shadow::api::control::routes(aliases).bind(wired.shadow_control()),
                florin_shadow::api::reconcile::routes().bind(wired.shadow_reconcile()),
            ]
        },
        workers: &[
            Worker {
                name: "shadow-checks",
                about: "runs streamed drift checks, takes up broken ones, expires old proposals",
                start: |wired, shutdown| {
                    let checker = wired.shadow_control().checker.clone();
                    Box::pin(florin_shadow::drift::worker::run(checker, shutdown))
                },
            },
            Worker {
                name: "shadow-monitors",
                about: "looks for drift that nothing explains, and for what is late",
                start: |wired, shutdown| {
                    Box::pin(wired.shadow_control().monitors.clone().run(shutdown))
                },
            },
            Worker {
                name: "shadow-links",
                about: "mirrors linked ledger accounts, posts their approved corrections",
                start: |wired, shutdown| {
                    let links = wired.shadow_control().links.clone();
                    Box::pin(async move {
                        match links {
                            Some(links) => links.run(shutdown).await,
                            None => shutdown.drain().await,
                        }
                    })
                },
            },
            Worker {
                name: "shadow-matching",
                about: "forgets cut-off imports, undoes matches of entries that flipped",
                start: |wired, shutdown| {
                    let api = wired.shadow_reconcile();
                    let (statements, reconciler) = (api.statements.clone(), api.reconciler.clone());
                    Box::pin(florin_shadow::matching::watch::run(
                        statements, reconciler, shutdown,
                    ))
                },
            },
        ],
    },
    Role {
        name: "ticketing-events",
        port: 8091,
        about: "ticketing: organisations, events, tickets, the gate, proofs",
        parts: &[Part::Identity, Part::Ticketing],
        describe: || ticketing::api::event_routes().describe(),
        mount: |wired| vec![ticketing::api::event_routes().bind(wired.ticketing())],
        workers: &[Worker {
            name: "ticketing-events",
            about: "ends events, sends mails, signs checkpoints of the ticket log",
            start: |wired, shutdown| {
                Box::pin(ticketing::worker::run_events(wired.ticketing(), shutdown))
            },
        }],
    },
    Role {
        name: "ticketing-orders",
        port: 8092,
        about: "ticketing: orders, payments, refunds, payouts",
        parts: &[Part::Identity, Part::Ticketing],
        describe: || ticketing::api::order_routes().describe(),
        mount: |wired| vec![ticketing::api::order_routes().bind(wired.ticketing())],
        workers: &[Worker {
            name: "ticketing-orders",
            about: "releases what was not paid, ends what was begun, asks the provider, pays out",
            start: |wired, shutdown| {
                Box::pin(ticketing::worker::run_orders(wired.ticketing(), shutdown))
            },
        }],
    },
    Role {
        name: "ticketing-analytics",
        port: 8093,
        about: "ticketing: figures, live streams, exports",
        parts: &[Part::Identity, Part::Ticketing],
        describe: || ticketing::api::analytics_routes().describe(),
        mount: |wired| vec![ticketing::api::analytics_routes().bind(wired.ticketing())],
        workers: &[Worker {
            name: "ticketing-analytics",
            about: "makes exports, follows the ledger",
            start: |wired, shutdown| {
                Box::pin(ticketing::worker::run_analytics(
                    wired.ticketing(),
                    shutdown,
                ))
            },
        }],
    },
    Role {
        name: "console",
        port: 3000,
        about: "web console over the API, `/console`",
        parts: &[Part::Console],
        describe: || florin_console::routes().describe(),
        mount: |wired| vec![florin_console::routes().bind(wired.console())],
        workers: &[Worker {
            name: "console-watch",
            about: "looks at `/metrics` for the pictures of the console",
            start: |wired, shutdown| Box::pin(wired.console().run(shutdown)),
        }],
    },
    Role {
        name: "workers",
        port: 8088,
        about: "feed readers; webhooks: endpoints, deliveries, replay",
        parts: &[
            Part::Identity,
            Part::Webhooks,
            Part::Shadow,
            Part::Ticketing,
        ],
        describe: || webhooks::routes().describe(),
        mount: |wired| vec![webhooks::routes().bind(wired.webhooks())],
        workers: &[
            Worker {
                name: "feed-readers",
                about: "read the ledger's change feed into topics and webhooks, each from its own position",
                start: |wired, shutdown| Box::pin(wired.channels().run(shutdown)),
            },
            Worker {
                name: "feed-archive",
                about: "keeps the ledger's feed in segments under signed checkpoints, where an archive is configured",
                start: |wired, shutdown| wired.keep_feed(shutdown),
            },
            Worker {
                name: "database-watch",
                about: "looks for transactions that stay open on a shared database",
                start: |wired, shutdown| {
                    Box::pin(crate::serve::database_watch::run(wired.db(), shutdown))
                },
            },
            Worker {
                name: "shadow-outbox",
                about: "tells webhooks what the shadow log says",
                start: |wired, shutdown| wired.tell_shadow_webhooks(shutdown),
            },
            Worker {
                name: "shadow-mirror",
                about: "publishes to topics what the shadow log says, with copies of what came in over HTTP and dead letters",
                start: |wired, shutdown| wired.tell_shadow_topics(shutdown),
            },
            Worker {
                name: "ticketing-outbox",
                about: "tells webhooks what happened to events, orders and tickets",
                start: |wired, shutdown| {
                    Box::pin(ticketing::worker::run_outbox(wired.ticketing(), shutdown))
                },
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
        assert_eq!(
            names(&["gateway"]),
            ["blobs", "tables", "audit", "identity"]
        );
        assert_eq!(
            names(&["workers"]),
            [
                "blobs",
                "tables",
                "audit",
                "identity",
                "ledger",
                "bus",
                "webhooks",
                "shadow",
                "ticketing"
            ]
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
