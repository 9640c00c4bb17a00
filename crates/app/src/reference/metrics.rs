//! `metrics.md`: every metric of `/metrics`. A test compares the list with the code.

mod shadow;

/// A metric: name, kind, labels, meaning.
type Row = (&'static str, &'static str, &'static str, &'static str);

const METRICS: &[Row] = &[
    (
        "bus_messages_consumed_total",
        "counter",
        "group, result",
        "messages that a consumer group took in: handled, known (handled before), dead_letter",
    ),
    (
        "bus_messages_published_total",
        "counter",
        "topic",
        "messages that the brokers accepted",
    ),
    (
        "cache_processes",
        "gauge",
        "",
        "processes that share the cache, counted twice a second: what limits are divided by while it is away",
    ),
    (
        "cache_requests_total",
        "counter",
        "result",
        "values asked of the cache: hit, miss, or away when its server does not answer",
    ),
    (
        "db_oldest_transaction_seconds",
        "gauge",
        "",
        "age of the oldest transaction of anybody on the PostgreSQL server of the service tables, looked at every 15 s by role workers",
    ),
    (
        "db_pool_acquire_seconds",
        "histogram",
        "",
        "wait for a connection to the service tables",
    ),
    (
        "db_pool_connections",
        "gauge",
        "state",
        "connections to the service tables: active, idle, max",
    ),
    (
        "disk_free_ratio",
        "gauge",
        "",
        "free share of the disk of the ledger",
    ),
    (
        "event_lag_records",
        "gauge",
        "channel",
        "records that a reader of the feed is behind",
    ),
    (
        "event_lag_seconds",
        "gauge",
        "channel",
        "age of the oldest record that a reader has not given on",
    ),
    (
        "feed_archive_age_seconds",
        "gauge",
        "",
        "age of the oldest record that is not in the archive; 0 when all are",
    ),
    (
        "gateway_retries_total",
        "counter",
        "role",
        "requests that the gateway gave to a further process",
    ),
    (
        "gateway_upstreams",
        "gauge",
        "role, state",
        "processes behind the gateway: ready, away",
    ),
    (
        "http_server_connections_refused_total",
        "counter",
        "",
        "connections above `server.max_connections`",
    ),
    (
        "http_server_requests_seconds",
        "histogram",
        "method, route, status, outcome",
        "requests by route; `outcome` is success, refused (business), client_error or server_error",
    ),
    ("ledger_batch_size", "histogram", "", "records in a commit"),
    (
        "ledger_checkpoint_age_seconds",
        "gauge",
        "",
        "how long records have waited for a signed checkpoint; 0 when none wait",
    ),
    (
        "ledger_commit_duration_seconds",
        "histogram",
        "",
        "from taking a batch to its sync",
    ),
    (
        "ledger_forwarded_calls_total",
        "counter",
        "",
        "calls that other processes handed over to this one",
    ),
    (
        "ledger_index_lag_records",
        "gauge",
        "",
        "records that the index is behind the journal",
    ),
    (
        "ledger_invariant_violations_total",
        "counter",
        "",
        "assets whose debits did not equal their credits when all accounts were summed",
    ),
    (
        "ledger_is_linked",
        "gauge",
        "",
        "1 while this process hands its calls over to the ledger's sequencer",
    ),
    (
        "ledger_is_sequencer",
        "gauge",
        "",
        "1 while this process decides the calls of all",
    ),
    ("ledger_last_seq", "gauge", "", "the last record"),
    (
        "ledger_queue_depth",
        "gauge",
        "",
        "calls that wait for the writer",
    ),
    (
        "ledger_results_total",
        "counter",
        "code",
        "results of transfers sent to the ledger, by result code",
    ),
    (
        "ledger_sequencer_links",
        "gauge",
        "",
        "processes that hand their calls over to this one",
    ),
    (
        "log_lines_dropped_total",
        "counter",
        "",
        "log lines dropped because stderr could not keep up",
    ),
    (
        "otel_spans_dropped_total",
        "counter",
        "",
        "spans dropped because the collector could not keep up",
    ),
    (
        "process_cpu_seconds",
        "gauge",
        "",
        "processor time since the start",
    ),
    (
        "process_cpu_usage",
        "gauge",
        "",
        "share of all cores since the last look, 0 to 1",
    ),
    (
        "process_resident_memory_bytes",
        "gauge",
        "",
        "resident memory",
    ),
    (
        "ticketing_payouts_failed_total",
        "counter",
        "",
        "payouts to organisers that failed",
    ),
    (
        "wallet_holds_captured_total",
        "counter",
        "",
        "holds captured",
    ),
    (
        "wallet_holds_expired_total",
        "counter",
        "",
        "holds that expired",
    ),
    ("wallet_holds_placed_total", "counter", "", "holds placed"),
    ("wallet_holds_voided_total", "counter", "", "holds voided"),
    (
        "wallet_money_deposited_total",
        "counter",
        "currency",
        "money deposited, in minor units",
    ),
    (
        "wallet_money_transferred_total",
        "counter",
        "currency",
        "money transferred, in minor units of the source",
    ),
    (
        "wallet_money_withdrawn_total",
        "counter",
        "currency",
        "money withdrawn, in minor units",
    ),
    (
        "wallet_operations_created_total",
        "counter",
        "",
        "wallets made through the API",
    ),
    (
        "wallet_operations_creation_duration_seconds",
        "histogram",
        "",
        "time of making a wallet",
    ),
    (
        "wallet_operations_deposit_duration_seconds",
        "histogram",
        "",
        "time of a deposit",
    ),
    (
        "wallet_operations_deposits_total",
        "counter",
        "",
        "deposits",
    ),
    (
        "wallet_operations_failed_total",
        "counter",
        "",
        "wallet operations that did not succeed",
    ),
    (
        "wallet_operations_queries_total",
        "counter",
        "",
        "reads of wallets and balances",
    ),
    (
        "wallet_operations_query_duration_seconds",
        "histogram",
        "",
        "time of such a read",
    ),
    (
        "wallet_operations_transfer_duration_seconds",
        "histogram",
        "",
        "time of a transfer",
    ),
    (
        "wallet_operations_transfers_total",
        "counter",
        "",
        "transfers",
    ),
    (
        "wallet_operations_withdrawal_duration_seconds",
        "histogram",
        "",
        "time of a withdrawal",
    ),
    (
        "wallet_operations_withdrawals_total",
        "counter",
        "",
        "withdrawals",
    ),
    (
        "wallet_outbox_events_created_total",
        "counter",
        "",
        "events made from the feed",
    ),
    (
        "wallet_outbox_events_failed_total",
        "counter",
        "",
        "events that a channel did not take; they are given again",
    ),
    (
        "wallet_outbox_events_published_total",
        "counter",
        "",
        "events that a channel took",
    ),
    (
        "wallet_outbox_publishing_duration_seconds",
        "histogram",
        "",
        "time of giving events to a channel",
    ),
    (
        "wallet_total_count",
        "gauge",
        "",
        "wallets of the ledger, counted every five minutes",
    ),
    (
        "wallet_transactions_total",
        "counter",
        "",
        "movements of wallet money",
    ),
    (
        "webhook_tries_total",
        "counter",
        "accepted",
        "deliveries tried, by whether the receiver accepted",
    ),
];

/// Every metric, room by room.
fn all() -> impl Iterator<Item = &'static Row> {
    METRICS.iter().chain(shadow::METRICS)
}

/// The page.
pub fn render() -> String {
    let mut text = String::from(
        "# Metrics\n\nMade from the program by `./dev gen`. `/metrics` is Prometheus text. \
         Histograms have buckets at 1, 2, 5, 10, 20, 50, 100, 200, 500 ms, 1, 2, 5 s. No label \
         holds an id of a wallet or user.\n\n| metric | kind | labels | meaning |\n|---|---|---|---|\n",
    );
    let mut rows: Vec<&Row> = all().collect();
    rows.sort();
    for (name, kind, labels, meaning) in rows {
        let labels = if labels.is_empty() { "–" } else { labels };
        text.push_str(&format!("| `{name}` | {kind} | {labels} | {meaning} |\n"));
    }
    text
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fs;
    use std::path::Path;

    use super::*;

    /// Every metric that is counted outside tests.
    fn in_code(folder: &Path, found: &mut BTreeMap<String, &'static str>) {
        for entry in fs::read_dir(folder).expect("folder") {
            let path = entry.expect("entry").path();
            if path.is_dir() {
                if path.file_name().is_none_or(|name| name != "tests") {
                    in_code(&path, found);
                }
                continue;
            }
            let is_rust = path.extension().is_some_and(|extension| extension == "rs");
            if !is_rust || path.ends_with(file!().rsplit("src/").next().unwrap_or_default()) {
                continue;
            }
            let text = fs::read_to_string(&path).expect("source");
            let text = text.split("#[cfg(test)]").next().unwrap_or_default();
            // Counters whose name is chosen by a match.
            for literal in text.split('"').skip(1).step_by(2) {
                let word = literal.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
                if word && literal.starts_with("wallet_") && literal.ends_with("_total") {
                    found.insert(literal.to_owned(), "counter");
                }
            }
            for kind in ["counter", "gauge", "histogram"] {
                for rest in text.split(&format!("{kind}!(")).skip(1) {
                    let name = rest
                        .trim_start()
                        .strip_prefix('"')
                        .and_then(|rest| rest.split('"').next());
                    if let Some(name) = name.filter(|name| !name.contains('…')) {
                        found.insert(name.to_owned(), kind);
                    }
                }
            }
        }
    }

    #[test]
    fn the_list_is_what_the_code_counts() {
        let mut found = BTreeMap::new();
        let crates = Path::new(env!("CARGO_MANIFEST_DIR"))
            .parent()
            .expect("crates/");
        for name in [
            "base",
            "ledger",
            "platform",
            "shadow",
            "ticketing",
            "console",
            "wallets",
            "app",
        ] {
            in_code(&crates.join(name).join("src"), &mut found);
        }
        let listed: BTreeMap<String, &'static str> = all()
            .map(|(name, kind, ..)| ((*name).to_owned(), *kind))
            .collect();
        let missing: Vec<_> = found
            .iter()
            .filter(|(name, _)| !listed.contains_key(*name))
            .collect();
        let surplus: Vec<_> = listed
            .keys()
            .filter(|name| !found.contains_key(*name))
            .collect();
        assert!(missing.is_empty(), "counted but not listed: {missing:?}");
        assert!(surplus.is_empty(), "listed but not counted: {surplus:?}");
        for (name, kind) in &found {
            assert_eq!(listed[name], *kind, "{name}");
        }
    }
}
