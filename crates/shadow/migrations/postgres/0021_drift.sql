-- Drift checks: what was asked, what was seen, what was found. Kept for ever.
CREATE TABLE shadow_drift_checks (
    check_id    TEXT COLLATE "C"    PRIMARY KEY,
    made_seq    BIGINT  NOT NULL,
    log_seq     BIGINT  NOT NULL,
    state       TEXT COLLATE "C"    NOT NULL,
    streamed    BOOLEAN NOT NULL,
    body_digest BYTEA    NOT NULL,
    mode        TEXT COLLATE "C"    NOT NULL,
    policy      TEXT COLLATE "C"    NOT NULL,
    actor       TEXT COLLATE "C"    NOT NULL,
    role        TEXT COLLATE "C",
    trace_id    TEXT COLLATE "C",
    started_at  BIGINT  NOT NULL,
    finished_at BIGINT,
    accounts    BIGINT  NOT NULL,
    done        BIGINT  NOT NULL,
    pages       BIGINT  NOT NULL,
    drifts      BIGINT  NOT NULL,
    corrections BIGINT  NOT NULL,
    tolerated   TEXT COLLATE "C"    NOT NULL
);
CREATE INDEX shadow_drift_checks_made ON shadow_drift_checks (made_seq);
CREATE INDEX shadow_drift_checks_open ON shadow_drift_checks (state) WHERE state <> 'done';

-- The accounts of a check in input order, many to a row; what was seen stands beside them.
CREATE TABLE shadow_drift_pages (
    check_id TEXT COLLATE "C"   NOT NULL,
    page     BIGINT NOT NULL,
    first    BIGINT NOT NULL,
    accounts BIGINT NOT NULL,
    items    TEXT COLLATE "C"   NOT NULL,
    seen     TEXT COLLATE "C",
    PRIMARY KEY (check_id, page)
);

-- Those that differ, one to a row.
CREATE TABLE shadow_drift_found (
    check_id          TEXT COLLATE "C"    NOT NULL,
    n                 BIGINT  NOT NULL,
    account_id        TEXT COLLATE "C"    NOT NULL,
    currency          TEXT COLLATE "C"    NOT NULL,
    as_of             BIGINT,
    statement_id      TEXT COLLATE "C",
    reported          TEXT COLLATE "C"    NOT NULL,
    shadow            TEXT COLLATE "C"    NOT NULL,
    difference        TEXT COLLATE "C"    NOT NULL,
    pending           TEXT COLLATE "C"    NOT NULL,
    tolerated         BOOLEAN NOT NULL,
    known             BOOLEAN NOT NULL,
    linked            BOOLEAN NOT NULL,
    log_seq           BIGINT  NOT NULL,
    mismatch_type     TEXT COLLATE "C"    NOT NULL,
    class             TEXT COLLATE "C",
    explanation       TEXT COLLATE "C",
    action            TEXT COLLATE "C",
    correction_id     TEXT COLLATE "C",
    correction_status TEXT COLLATE "C",
    settled           BOOLEAN NOT NULL,
    PRIMARY KEY (check_id, n)
);
CREATE INDEX shadow_drift_found_opposite
    ON shadow_drift_found (check_id, currency, difference, account_id);
CREATE INDEX shadow_drift_found_open ON shadow_drift_found (check_id, n) WHERE NOT settled;

-- The figure last given for a book, and whether it differed then.
CREATE TABLE shadow_drift_figures (
    account_id TEXT COLLATE "C"    NOT NULL,
    currency   TEXT COLLATE "C"    NOT NULL,
    reported   TEXT COLLATE "C"    NOT NULL,
    as_of      BIGINT,
    check_id   TEXT COLLATE "C"    NOT NULL,
    given_at   BIGINT  NOT NULL,
    drifting   BOOLEAN NOT NULL,
    PRIMARY KEY (account_id, currency)
);
CREATE INDEX shadow_drift_figures_drifting ON shadow_drift_figures (account_id, currency)
    WHERE drifting;
