//! Looks from inside the VPC: whether the stores can be reached over the network. The check reads no
//! secret (contract D1), so it does not log in; that the units could, `/ready` says.

use std::time::Duration;

use tokio::net::TcpStream;

use super::{Context, Finding};

/// Longest wait for a connection.
const WAIT: Duration = Duration::from_secs(3);

/// A store, the output that names its hosts, and its port.
pub struct Store {
    /// What was looked at.
    pub check: &'static str,
    output: &'static str,
    port: u16,
}

/// All stores.
pub const STORES: &[Store] = &[
    Store {
        check: "writer reached",
        output: "rds_endpoint",
        port: 5432,
    },
    Store {
        check: "readers reached",
        output: "reader_endpoint",
        port: 5432,
    },
    Store {
        check: "cache reached",
        output: "redis_endpoint",
        port: 6379,
    },
    Store {
        check: "kafka reached",
        output: "bootstrap_brokers",
        port: 9096,
    },
];

/// Connects to each host of each store.
pub async fn stores(context: &Context) -> Vec<Finding> {
    let mut findings = Vec::new();
    for store in STORES {
        let Some(hosts) = context
            .output(store.output)
            .filter(|hosts| !hosts.is_empty())
        else {
            findings.push(Finding::unknown(store.check, "no host is known"));
            continue;
        };
        for host in hosts.split(',') {
            findings.push(one(store, host).await);
        }
    }
    findings
}

async fn one(store: &Store, host: &str) -> Finding {
    let place = match host.contains(':') {
        true => host.to_owned(),
        false => format!("{host}:{}", store.port),
    };
    let what = match tokio::time::timeout(WAIT, TcpStream::connect(&place)).await {
        Ok(Ok(_)) => return Finding::judged(store.check, true, place),
        Ok(Err(error)) => format!("{place}: {error}"),
        Err(_) => format!("{place}: no answer within {} s", WAIT.as_secs()),
    };
    Finding::judged(store.check, false, what)
}

#[cfg(test)]
mod tests {
    use super::super::State;
    use super::*;

    #[tokio::test]
    async fn dep_152_a_store_is_reached_or_bad_with_the_reason() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a port");
        let open = listener.local_addr().expect("an address").to_string();
        let good = one(&STORES[0], &open).await;
        assert_eq!((good.state, good.what), (State::Good, open.clone()));
        drop(listener);
        let bad = one(&STORES[0], &open).await;
        assert_eq!(bad.state, State::Bad);
        assert!(bad.what.starts_with(&open), "{}", bad.what);
    }
}
