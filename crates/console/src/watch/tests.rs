//! Tests of what is kept of the figures of the process.

use super::*;

const SECOND: i64 = 1_000_000;

fn metrics(created: u32, fast: u32, slow: u32, money: u128) -> String {
    format!(
        "# TYPE ledger_results_total counter\n\
         ledger_results_total{{code=\"created\"}} {created}\n\
         ledger_last_seq 7\n\
         event_lag_seconds{{channel=\"webhooks\"}} 1.5\n\
         wallet_money_deposited_total{{currency=\"BRL\"}} {money}\n\
         http_server_requests_seconds_bucket{{route=\"/api/v1/wallets\",le=\"0.001\"}} {fast}\n\
         http_server_requests_seconds_bucket{{route=\"/api/v1/wallets\",le=\"0.002\"}} {all}\n\
         http_server_requests_seconds_bucket{{route=\"/api/v1/wallets\",le=\"+Inf\"}} {all}\n\
         http_server_requests_seconds_bucket{{route=\"/console\",le=\"+Inf\"}} 900\n\
         http_server_requests_seconds_count{{route=\"/api/v1/wallets\",outcome=\"success\"}} {all}\n",
        all = fast + slow
    )
}

#[test]
fn rates_come_from_counters_and_money_from_integers() {
    let watch = Watch::default();
    let big = 10_000_000_000_000_000_000_000;
    watch.keep(0, &metrics(10, 0, 0, big));
    watch.keep(10 * SECOND, &metrics(30, 90, 10, big + 1));
    let window = watch.window(Range::of("5m"));
    assert_eq!(window.rates("ledger_results_total"), [2.0]);
    assert_eq!(window.newest("ledger_last_seq"), Some(7.0));
    assert_eq!(window.newest("shadow_books"), None);
    assert_eq!(
        window.labels("event_lag_seconds"),
        [("webhooks".to_owned(), 1.5)]
    );
    let moved = window.moved();
    assert_eq!(moved, [("deposited".to_owned(), "BRL".to_owned(), 1)]);
    assert_eq!(
        window.requests(),
        (100.0, 0.0),
        "the console's own stay out"
    );
    let median = window.percentile(0.5).expect("requests");
    assert!((median - 0.001 * 50.0 / 90.0).abs() < 1e-9, "{median}");
    let late = window.percentile(0.95).expect("requests");
    assert!((late - 0.0015).abs() < 1e-9, "{late}");
    watch.keep(20 * SECOND, &metrics(5, 0, 0, 0));
    let window = watch.window(Range::of("5m"));
    assert_eq!(
        window.rates("ledger_results_total"),
        [2.0, 0.0],
        "a restart is no fall"
    );
}

#[test]
fn memory_is_bounded() {
    let watch = Watch::default();
    for look in 0..(FINE as i64 + 50) {
        watch.keep(look * 5 * SECOND, "ledger_last_seq 1\n");
    }
    let inner = watch.0.read();
    assert_eq!(inner.fine.len(), FINE);
    assert_eq!(inner.coarse.len(), (FINE + 50).div_ceil(12));
}
