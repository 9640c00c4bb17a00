-- Files as they came in. While one is read its lines are there, of statements that are not yet.
CREATE TABLE shadow_imports (
    number      INTEGER PRIMARY KEY,
    id          TEXT    NOT NULL UNIQUE,
    file_digest BLOB    NOT NULL,
    format      TEXT,
    state       TEXT    NOT NULL,
    whole       BOOLEAN NOT NULL,
    items       TEXT    NOT NULL,
    actor       TEXT    NOT NULL,
    trace_id    TEXT,
    created_at  BIGINT  NOT NULL
);
CREATE UNIQUE INDEX shadow_imports_digest ON shadow_imports (file_digest)
    WHERE state = 'done' AND whole;
CREATE INDEX shadow_imports_state ON shadow_imports (state, created_at) WHERE state = 'staging';

-- Balances and sums are whole minor units as decimal text; days count from 1970-01-01.
CREATE TABLE shadow_statements (
    number               INTEGER PRIMARY KEY,
    id                   TEXT    NOT NULL UNIQUE,
    import               BIGINT  NOT NULL,
    account_id           TEXT    NOT NULL,
    currency             TEXT    NOT NULL,
    scale                BIGINT  NOT NULL,
    format               TEXT    NOT NULL,
    account_ref          TEXT    NOT NULL,
    bank_statement_id    TEXT    NOT NULL,
    sequence             BIGINT,
    page                 BIGINT,
    identity             BLOB    NOT NULL,
    content              BLOB    NOT NULL,
    opening              TEXT,
    opening_day          BIGINT,
    opening_intermediate BOOLEAN NOT NULL,
    closing              TEXT,
    closing_day          BIGINT,
    closing_intermediate BOOLEAN NOT NULL,
    total                TEXT    NOT NULL,
    lines                BIGINT  NOT NULL,
    pending              BIGINT  NOT NULL,
    information          BIGINT  NOT NULL,
    first_day            BIGINT  NOT NULL,
    last_day             BIGINT  NOT NULL,
    proven               BOOLEAN NOT NULL,
    continuity           TEXT    NOT NULL,
    gap                  TEXT,
    deviations           TEXT    NOT NULL,
    warnings             TEXT    NOT NULL,
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
    digest     BLOB    NOT NULL,
    occurrence BIGINT  NOT NULL,
    duplicate  BOOLEAN NOT NULL,
    decision   TEXT,
    is_open    BOOLEAN NOT NULL,
    reason     TEXT,
    candidates TEXT,
    refs       TEXT,
    body       TEXT    NOT NULL,
    PRIMARY KEY (statement, n)
) WITHOUT ROWID;
CREATE INDEX shadow_lines_ignored ON shadow_lines (statement, n) WHERE decision = 'ignore';

CREATE TABLE shadow_csv_profiles (
    name       TEXT   PRIMARY KEY,
    body       TEXT   NOT NULL,
    actor      TEXT   NOT NULL,
    updated_at BIGINT NOT NULL
);

CREATE TABLE shadow_account_refs (
    ref        TEXT   PRIMARY KEY,
    account_id TEXT   NOT NULL,
    actor      TEXT   NOT NULL,
    updated_at BIGINT NOT NULL
);
