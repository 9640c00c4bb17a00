//! Metrics of the shadow ledger (its contract, section E).

use super::Row;

pub(super) const METRICS: &[Row] = &[
    ("shadow_books", "gauge", "", "books of the shadow ledger"),
    (
        "shadow_corrections_open",
        "gauge",
        "",
        "corrections that wait: proposed or approved",
    ),
    (
        "shadow_corrections_total",
        "gauge",
        "kind, status",
        "corrections there are, by kind and status",
    ),
    (
        "shadow_dead_letters",
        "gauge",
        "status",
        "messages of topics that could not be taken: parked, redriven, discarded",
    ),
    (
        "shadow_deadline_lag_seconds",
        "gauge",
        "",
        "how late the oldest deadline is decided",
    ),
    (
        "shadow_decisions_total",
        "counter",
        "from, to, reason",
        "decisions that changed an event's state or made it final",
    ),
    (
        "shadow_drift_accounts_total",
        "counter",
        "mismatch_type, class",
        "accounts checked, by what was found",
    ),
    (
        "shadow_drift_checks_total",
        "counter",
        "mode",
        "drift checks",
    ),
    (
        "shadow_drift_unexplained",
        "gauge",
        "",
        "accounts of the last check whose difference nothing explains",
    ),
    (
        "shadow_event_state",
        "gauge",
        "state",
        "events by state; those applied are counted once a minute",
    ),
    (
        "shadow_events_total",
        "counter",
        "entrance, result",
        "events that came in by http, batch or kafka: accepted, duplicate, conflict, invalid and others",
    ),
    (
        "shadow_feed_lag_seconds",
        "gauge",
        "",
        "age of the oldest record of the ledger's feed that linked books lack",
    ),
    (
        "shadow_intake_seconds",
        "histogram",
        "",
        "from taking a group of events to its commit",
    ),
    (
        "shadow_kafka_key_mismatch_total",
        "counter",
        "",
        "messages whose key is not their account",
    ),
    (
        "shadow_kafka_lag",
        "gauge",
        "topic",
        "messages of a topic that were not taken yet",
    ),
    (
        "shadow_lines_total",
        "counter",
        "status",
        "statement lines by what a reconciliation made of them: matched, ambiguous, unmatched",
    ),
    (
        "shadow_log_seq",
        "gauge",
        "",
        "the last record of the shadow log",
    ),
    (
        "shadow_match_seconds",
        "histogram",
        "stage",
        "time of a stage of a reconciliation",
    ),
    (
        "shadow_monitor_alerts",
        "gauge",
        "kind, severity",
        "alerts that are open",
    ),
    (
        "shadow_own_copies_total",
        "counter",
        "",
        "messages that are our own copies",
    ),
    (
        "shadow_rebuild_divergent_books",
        "gauge",
        "",
        "books that the last self-check found different from the log",
    ),
    (
        "shadow_statements_total",
        "counter",
        "format, result",
        "statements imported and files refused",
    ),
];
