//! Looks from inside the VPC: whether the stores can be reached over the network, and whether the
//! certificates that they show hold. The check reads no secret (contract D1), so it does not log in;
//! that the units could, `/ready` says.

use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use tokio::net::TcpStream;

use super::tls::{self, Before};
use super::{Context, Finding};

/// Longest wait for a connection, and for its handshake.
const WAIT: Duration = Duration::from_secs(3);

/// A store, the output that names its hosts, and its port.
pub struct Store {
    /// What was looked at.
    pub check: &'static str,
    output: &'static str,
    port: u16,
    before: Before,
}

/// All stores.
pub const STORES: &[Store] = &[
    Store {
        check: "writer reached",
        output: "rds_endpoint",
        port: 5432,
        before: Before::PostgresRequest,
    },
    Store {
        check: "readers reached",
        output: "reader_endpoint",
        port: 5432,
        before: Before::PostgresRequest,
    },
    Store {
        check: "cache reached",
        output: "redis_endpoint",
        port: 6379,
        before: Before::Nothing,
    },
    Store {
        check: "kafka reached",
        output: "bootstrap_brokers",
        port: 9096,
        before: Before::Nothing,
    },
];

/// Connects to each host of each store.
pub async fn stores(context: &Context) -> Vec<Finding> {
    let trust = tls::as_the_image_does();
    let now = context.client.now();
    let mut findings = Vec::new();
    for store in STORES {
        let hosts = context.output(store.output);
        let Some(hosts) = hosts.filter(|hosts| !hosts.is_empty() && *hosts != "none") else {
            findings.push(Finding::unknown(store.check, "no host is known"));
            continue;
        };
        for host in hosts.split(',') {
            findings.push(one(store, host, &trust, now).await);
        }
    }
    findings
}

async fn one(store: &Store, host: &str, trust: &Arc<ClientConfig>, now: i64) -> Finding {
    let place = match host.contains(':') {
        true => host.to_owned(),
        false => format!("{host}:{}", store.port),
    };
    let name = place.rsplit_once(':').map_or(host, |(name, _)| name);
    let bad = |why: String| Finding::judged(store.check, false, format!("{place}: {why}"));
    let silent = || format!("no answer within {} s", WAIT.as_secs());
    let stream = match tokio::time::timeout(WAIT, TcpStream::connect(&place)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return bad(error.to_string()),
        Err(_) => return bad(silent()),
    };
    let shown = tls::handshake(stream, name, store.before, trust);
    let certificate = match tokio::time::timeout(WAIT, shown).await {
        Ok(Ok(certificate)) => certificate,
        Ok(Err(why)) => return bad(format!("TLS: {why}")),
        Err(_) => return bad(silent()),
    };
    match tls::days_left(&certificate, now) {
        Some(days) => Finding::judged(
            store.check,
            days >= tls::DAYS_LEFT_MIN,
            format!("{place}: over TLS, its certificate holds {days} days more"),
        ),
        None => Finding::unknown(
            store.check,
            format!("{place}: over TLS, the end of its certificate cannot be read"),
        ),
    }
}

#[cfg(test)]
mod tests {
    use florin_platform::testing::postgres::TestPostgres;

    use super::super::State;
    use super::*;

    #[tokio::test]
    async fn dep_152_a_store_is_reached_over_tls_or_bad_with_the_reason() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a port");
        let closed = listener.local_addr().expect("an address").to_string();
        drop(listener);
        let nobody = tls::trusting(&[]);
        let bad = one(&STORES[0], &closed, &nobody, 0).await;
        assert_eq!(bad.state, State::Bad);
        assert!(bad.what.starts_with(&closed), "{}", bad.what);

        let (Some(plain), Some(server)) = (
            TestPostgres::start().await,
            TestPostgres::start_with_tls().await,
        ) else {
            println!("SKIPPED a_store_is_reached_over_tls: PostgreSQL is not installed");
            return;
        };
        drop((plain.fresh().await, server.fresh().await));
        let path = server.certificate();
        let trust = tls::trusting(&[&path]);
        let place = format!("localhost:{}", server.port());
        let good = one(&STORES[0], &place, &trust, 0).await;
        assert_eq!(good.state, State::Good, "{}", good.what);
        assert!(good.what.starts_with(&place) && good.what.contains("days more"));
        let stranger = one(&STORES[0], &place, &nobody, 0).await;
        assert_eq!(stranger.state, State::Bad, "nobody signed it");
        assert!(stranger.what.contains("TLS: "), "{}", stranger.what);
        // A certificate that ends soon is bad although it still holds.
        let late = 4_099_680_000_000_000 * 20;
        assert_eq!(
            one(&STORES[0], &place, &trust, late).await.state,
            State::Bad
        );
        let bare = format!("localhost:{}", plain.port());
        let bare = one(&STORES[0], &bare, &trust, 0).await;
        assert!(bare.what.contains("has no TLS"), "{}", bare.what);
    }
}
