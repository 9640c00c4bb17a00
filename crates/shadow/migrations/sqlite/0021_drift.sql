-- Drift checks: what was asked, what was seen, what was found. Kept for ever.
CREATE TABLE shadow_drift_checks (
    check_id    TEXT    PRIMARY KEY,
    made_seq    BIGINT  NOT NULL,
    log_seq     BIGINT  NOT NULL,
    state       TEXT    NOT NULL,
    streamed    BOOLEAN NOT NULL,
    body_digest BLOB    NOT NULL,
    mode        TEXT    NOT NULL,
    policy      TEXT    NOT NULL,
    actor       TEXT    NOT NULL,
    role        TEXT,
    trace_id    TEXT,
    started_at  BIGINT  NOT NULL,
    finished_at BIGINT,
    accounts    BIGINT  NOT NULL,
    done        BIGINT  NOT NULL,
    pages       BIGINT  NOT NULL,
    drifts      BIGINT  NOT NULL,
    corrections BIGINT  NOT NULL,
    tolerated   TEXT    NOT NULL
) WITHOUT ROWID;
CREATE INDEX shadow_drift_checks_made ON shadow_drift_checks (made_seq);
CREATE INDEX shadow_drift_checks_open ON shadow_drift_checks (state) WHERE state <> 'done';

-- The accounts of a check in input order, many to a row; what was seen stands beside them.
CREATE TABLE shadow_drift_pages (
    check_id TEXT   NOT NULL,
    page     BIGINT NOT NULL,
    first    BIGINT NOT NULL,
    accounts BIGINT NOT NULL,
    items    TEXT   NOT NULL,
    seen     TEXT,
    PRIMARY KEY (check_id, page)
);

-- Those that differ, one to a row.
CREATE TABLE shadow_drift_found (
    check_id          TEXT    NOT NULL,
    n                 BIGINT  NOT NULL,
    account_id        TEXT    NOT NULL,
    currency          TEXT    NOT NULL,
    as_of             BIGINT,
    statement_id      TEXT,
    reported          TEXT    NOT NULL,
    shadow            TEXT    NOT NULL,
    difference        TEXT    NOT NULL,
    pending           TEXT    NOT NULL,
    tolerated         BOOLEAN NOT NULL,
    known             BOOLEAN NOT NULL,
    linked            BOOLEAN NOT NULL,
    log_seq           BIGINT  NOT NULL,
    mismatch_type     TEXT    NOT NULL,
    class             TEXT,
    explanation       TEXT,
    action            TEXT,
    correction_id     TEXT,
    correction_status TEXT,
    settled           BOOLEAN NOT NULL,
    PRIMARY KEY (check_id, n)
) WITHOUT ROWID;
CREATE INDEX shadow_drift_found_opposite
    ON shadow_drift_found (check_id, currency, difference, account_id);
CREATE INDEX shadow_drift_found_open ON shadow_drift_found (check_id, n) WHERE NOT settled;

-- The figure last given for a book, and whether it differed then.
CREATE TABLE shadow_drift_figures (
    account_id TEXT    NOT NULL,
    currency   TEXT    NOT NULL,
    reported   TEXT    NOT NULL,
    as_of      BIGINT,
    check_id   TEXT    NOT NULL,
    given_at   BIGINT  NOT NULL,
    drifting   BOOLEAN NOT NULL,
    PRIMARY KEY (account_id, currency)
) WITHOUT ROWID;
CREATE INDEX shadow_drift_figures_drifting ON shadow_drift_figures (account_id, currency)
    WHERE drifting;
