-- Where the reconciliation of a book begins: what differed then is known and stays.
CREATE TABLE shadow_reconciled_books (
    account_id       TEXT COLLATE "C"   NOT NULL,
    currency         TEXT COLLATE "C"   NOT NULL,
    start_day        BIGINT NOT NULL,
    statement        BIGINT NOT NULL,
    log_seq          BIGINT NOT NULL,
    bank_opening     TEXT COLLATE "C"   NOT NULL,
    shadow_balance   TEXT COLLATE "C"   NOT NULL,
    start_difference TEXT COLLATE "C"   NOT NULL,
    PRIMARY KEY (account_id, currency)
);

CREATE TABLE shadow_reconciliations (
    number      BIGINT  PRIMARY KEY,
    id          TEXT COLLATE "C"    NOT NULL UNIQUE,
    account_id  TEXT COLLATE "C"    NOT NULL,
    currency    TEXT COLLATE "C"    NOT NULL,
    from_day    BIGINT  NOT NULL,
    to_day      BIGINT  NOT NULL,
    settings    TEXT COLLATE "C"    NOT NULL,
    state       TEXT COLLATE "C"    NOT NULL,
    problem     TEXT COLLATE "C",
    summary     TEXT COLLATE "C",
    actor       TEXT COLLATE "C"    NOT NULL,
    trace_id    TEXT COLLATE "C",
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
    side           TEXT COLLATE "C"   NOT NULL,
    item           TEXT COLLATE "C"   NOT NULL,
    day            BIGINT NOT NULL,
    amount         TEXT COLLATE "C"   NOT NULL,
    status         TEXT COLLATE "C"   NOT NULL,
    reason         TEXT COLLATE "C",
    match_id       TEXT COLLATE "C",
    rule           TEXT COLLATE "C",
    reference      TEXT COLLATE "C",
    candidates     TEXT COLLATE "C",
    PRIMARY KEY (reconciliation, place)
);

CREATE TABLE shadow_matches (
    number          BIGINT  PRIMARY KEY,
    id              TEXT COLLATE "C"    NOT NULL UNIQUE,
    account_id      TEXT COLLATE "C"    NOT NULL,
    currency        TEXT COLLATE "C"    NOT NULL,
    scale           BIGINT  NOT NULL,
    reconciliation  BIGINT,
    rule            TEXT COLLATE "C"    NOT NULL,
    interchangeable BOOLEAN NOT NULL,
    state           TEXT COLLATE "C"    NOT NULL,
    variance        TEXT COLLATE "C"    NOT NULL,
    correction      TEXT COLLATE "C",
    reason          TEXT COLLATE "C",
    actor           TEXT COLLATE "C"    NOT NULL,
    created_at      BIGINT  NOT NULL,
    undone_at       BIGINT,
    undone_by       TEXT COLLATE "C",
    undo_reason     TEXT COLLATE "C",
    log_seq         BIGINT  NOT NULL
);
CREATE INDEX shadow_matches_book ON shadow_matches (account_id, currency, number);
CREATE INDEX shadow_matches_correction ON shadow_matches (correction)
    WHERE correction IS NOT NULL;

-- Both sides of a match. `is_taken` while the match is active or proposed: no item is taken twice.
CREATE TABLE shadow_match_items (
    match_number BIGINT  NOT NULL,
    side         TEXT COLLATE "C"    NOT NULL,
    item         TEXT COLLATE "C"    NOT NULL,
    statement    BIGINT,
    n            BIGINT,
    day          BIGINT  NOT NULL,
    m0           BIGINT  NOT NULL,
    m1           BIGINT  NOT NULL,
    m2           BIGINT  NOT NULL,
    is_taken     BOOLEAN NOT NULL,
    PRIMARY KEY (match_number, side, item)
);
CREATE UNIQUE INDEX shadow_match_items_taken ON shadow_match_items (side, item) WHERE is_taken;
