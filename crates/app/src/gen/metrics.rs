//! `metrics.md`: every metric of `/metrics`. A test compares the list with the code.

/// A metric: name, kind, labels, meaning.
type Row = (&'static str, &'static str, &'static str, &'static str);

const METRICS: &[Row] = &[
    (
        "http_server_requests_seconds",
        "histogram",
        "method, route, status, outcome",
        "requests by route; `outcome` is success, refused (business), client_error or server_error",
    ),
    (
        "http_server_connections_refused_total",
        "counter",
        "",
        "connections above `server.max_connections`",
    ),
    (
        "disk_free_ratio",
        "gauge",
        "",
        "free share of the file system of the data directory",
    ),
    (
        "webhook_tries_total",
        "counter",
        "accepted",
        "deliveries tried, by whether the receiver accepted",
    ),
    (
        "process_cpu_usage",
        "gauge",
        "",
        "share of all cores since the last look, 0 to 1",
    ),
    (
        "process_cpu_seconds",
        "gauge",
        "",
        "processor time since the start",
    ),
    (
        "process_resident_memory_bytes",
        "gauge",
        "",
        "resident memory",
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
];

/// The page.
pub fn render() -> String {
    let mut text = String::from(
        "# Metrics\n\nMade from the program by `./dev gen`. `/metrics` is Prometheus text. \
         Histograms have buckets at 1, 2, 5, 10, 20, 50, 100, 200, 500 ms, 1, 2, 5 s. No label \
         holds an id of a wallet or user.\n\n| metric | kind | labels | meaning |\n|---|---|---|---|\n",
    );
    let mut rows: Vec<&Row> = METRICS.iter().collect();
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

    /// Every `counter!("…")`, `gauge!("…")` and `histogram!("…")` outside tests.
    fn in_code(folder: &Path, found: &mut BTreeMap<String, &'static str>) {
        for entry in fs::read_dir(folder).expect("folder") {
            let path = entry.expect("entry").path();
            if path.is_dir() {
                if path.file_name().is_none_or(|name| name != "tests") {
                    in_code(&path, found);
                }
                continue;
            }
            if path.extension().is_none_or(|extension| extension != "rs") {
                continue;
            }
            let text = fs::read_to_string(&path).expect("source");
            let text = text.split("#[cfg(test)]").next().unwrap_or_default();
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
        for name in ["base", "ledger", "platform", "wallets", "app"] {
            in_code(&crates.join(name).join("src"), &mut found);
        }
        let listed: BTreeMap<String, &'static str> = METRICS
            .iter()
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
