-- Where the reconciliation of a book begins: what differed then is known and stays.
CREATE TABLE shadow_reconciled_books (
    account_id       TEXT   NOT NULL,
    currency         TEXT   NOT NULL,
    start_day        BIGINT NOT NULL,
    statement        BIGINT NOT NULL,
    log_seq          BIGINT NOT NULL,
    bank_opening     TEXT   NOT NULL,
    shadow_balance   TEXT   NOT NULL,
    start_difference TEXT   NOT NULL,
    PRIMARY KEY (account_id, currency)
);

CREATE TABLE shadow_reconciliations (
    number      INTEGER PRIMARY KEY,
    id          TEXT    NOT NULL UNIQUE,
    account_id  TEXT    NOT NULL,
    currency    TEXT    NOT NULL,
    from_day    BIGINT  NOT NULL,
    to_day      BIGINT  NOT NULL,
    settings    TEXT    NOT NULL,
    state       TEXT    NOT NULL,
    problem     TEXT,
    summary     TEXT,
    actor       TEXT    NOT NULL,
    trace_id    TEXT,
    created_at  BIGINT  NOT NULL,
    finished_at BIGINT,
    log_seq     BIGINT
);
CREATE INDEX shadow_reconciliations_book
    ON shadow_reconciliations (account_id, currency, number);

-- What each run found, in the order of its report. Amounts are decimal text in minor units.
CREATE TABLE shadow_reconciliation_items (
    reconciliation BIGINT NOT NULL,
    place          BIGINT NOT NULL,
    side           TEXT   NOT NULL,
    item           TEXT   NOT NULL,
    day            BIGINT NOT NULL,
    amount         TEXT   NOT NULL,
    status         TEXT   NOT NULL,
    reason         TEXT,
    match_id       TEXT,
    rule           TEXT,
    reference      TEXT,
    candidates     TEXT,
    PRIMARY KEY (reconciliation, place)
) WITHOUT ROWID;

CREATE TABLE shadow_matches (
    number          INTEGER PRIMARY KEY,
    id              TEXT    NOT NULL UNIQUE,
    account_id      TEXT    NOT NULL,
    currency        TEXT    NOT NULL,
    scale           BIGINT  NOT NULL,
    reconciliation  BIGINT,
    rule            TEXT    NOT NULL,
    interchangeable BOOLEAN NOT NULL,
    state           TEXT    NOT NULL,
    variance        TEXT    NOT NULL,
    correction      TEXT,
    reason          TEXT,
    actor           TEXT    NOT NULL,
    created_at      BIGINT  NOT NULL,
    undone_at       BIGINT,
    undone_by       TEXT,
    undo_reason     TEXT,
    log_seq         BIGINT  NOT NULL
);
CREATE INDEX shadow_matches_book ON shadow_matches (account_id, currency, number);
CREATE INDEX shadow_matches_correction ON shadow_matches (correction)
    WHERE correction IS NOT NULL;

-- Both sides of a match. `is_taken` while the match is active or proposed: no item is taken twice.
CREATE TABLE shadow_match_items (
    match_number BIGINT  NOT NULL,
    side         TEXT    NOT NULL,
    item         TEXT    NOT NULL,
    statement    BIGINT,
    n            BIGINT,
    day          BIGINT  NOT NULL,
    m0           BIGINT  NOT NULL,
    m1           BIGINT  NOT NULL,
    m2           BIGINT  NOT NULL,
    is_taken     BOOLEAN NOT NULL,
    PRIMARY KEY (match_number, side, item)
) WITHOUT ROWID;
CREATE UNIQUE INDEX shadow_match_items_taken ON shadow_match_items (side, item) WHERE is_taken;
