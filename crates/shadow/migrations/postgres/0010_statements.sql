-- Files as they came in. While one is read its lines are there, of statements that are not yet.
CREATE TABLE shadow_imports (
    number      BIGINT  PRIMARY KEY,
    id          TEXT COLLATE "C"    NOT NULL UNIQUE,
    file_digest BYTEA    NOT NULL,
    format      TEXT COLLATE "C",
    state       TEXT COLLATE "C"    NOT NULL,
    whole       BOOLEAN NOT NULL,
    items       TEXT COLLATE "C"    NOT NULL,
    actor       TEXT COLLATE "C"    NOT NULL,
    trace_id    TEXT COLLATE "C",
    created_at  BIGINT  NOT NULL
);
CREATE UNIQUE INDEX shadow_imports_digest ON shadow_imports (file_digest)
    WHERE state = 'done' AND whole;
CREATE INDEX shadow_imports_state ON shadow_imports (state, created_at) WHERE state = 'staging';

-- Balances and sums are whole minor units as decimal text; days count from 1970-01-01.
CREATE TABLE shadow_statements (
    number               BIGINT  PRIMARY KEY,
    id                   TEXT COLLATE "C"    NOT NULL UNIQUE,
    import               BIGINT  NOT NULL,
    account_id           TEXT COLLATE "C"    NOT NULL,
    currency             TEXT COLLATE "C"    NOT NULL,
    scale                BIGINT  NOT NULL,
    format               TEXT COLLATE "C"    NOT NULL,
    account_ref          TEXT COLLATE "C"    NOT NULL,
    bank_statement_id    TEXT COLLATE "C"    NOT NULL,
    sequence             BIGINT,
    page                 BIGINT,
    identity             BYTEA    NOT NULL,
    content              BYTEA    NOT NULL,
    opening              TEXT COLLATE "C",
    opening_day          BIGINT,
    opening_intermediate BOOLEAN NOT NULL,
    closing              TEXT COLLATE "C",
    closing_day          BIGINT,
    closing_intermediate BOOLEAN NOT NULL,
    total                TEXT COLLATE "C"    NOT NULL,
    lines                BIGINT  NOT NULL,
    pending              BIGINT  NOT NULL,
    information          BIGINT  NOT NULL,
    first_day            BIGINT  NOT NULL,
    last_day             BIGINT  NOT NULL,
    proven               BOOLEAN NOT NULL,
    continuity           TEXT COLLATE "C"    NOT NULL,
    gap                  TEXT COLLATE "C",
    deviations           TEXT COLLATE "C"    NOT NULL,
    warnings             TEXT COLLATE "C"    NOT NULL,
    log_seq              BIGINT  NOT NULL,
    recorded_at          BIGINT  NOT NULL
);
CREATE UNIQUE INDEX shadow_statements_identity ON shadow_statements (identity);
CREATE INDEX shadow_statements_book ON shadow_statements (account_id, currency, last_day, number);
CREATE INDEX shadow_statements_import ON shadow_statements (import);

-- Booked lines; the amount is signed, in three columns in base 10^10.
CREATE TABLE shadow_lines (
    statement  BIGINT  NOT NULL,
    n          BIGINT  NOT NULL,
    day        BIGINT  NOT NULL,
    value_day  BIGINT,
    m0         BIGINT  NOT NULL,
    m1         BIGINT  NOT NULL,
    m2         BIGINT  NOT NULL,
    digest     BYTEA    NOT NULL,
    occurrence BIGINT  NOT NULL,
    duplicate  BOOLEAN NOT NULL,
    decision   TEXT COLLATE "C",
    is_open    BOOLEAN NOT NULL,
    reason     TEXT COLLATE "C",
    candidates TEXT COLLATE "C",
    refs       TEXT COLLATE "C",
    body       TEXT COLLATE "C"    NOT NULL,
    PRIMARY KEY (statement, n)
);
CREATE INDEX shadow_lines_ignored ON shadow_lines (statement, n) WHERE decision = 'ignore';

CREATE TABLE shadow_csv_profiles (
    name       TEXT COLLATE "C"   PRIMARY KEY,
    body       TEXT COLLATE "C"   NOT NULL,
    actor      TEXT COLLATE "C"   NOT NULL,
    updated_at BIGINT NOT NULL
);

CREATE TABLE shadow_account_refs (
    ref        TEXT COLLATE "C"   PRIMARY KEY,
    account_id TEXT COLLATE "C"   NOT NULL,
    actor      TEXT COLLATE "C"   NOT NULL,
    updated_at BIGINT NOT NULL
);
