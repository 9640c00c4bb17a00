-- The log: all else is derived from it (contract B4).
CREATE TABLE shadow_log (
    log_seq     INTEGER PRIMARY KEY,
    recorded_at BIGINT  NOT NULL,
    kind        TEXT    NOT NULL,
    account_id  TEXT,
    currency    TEXT,
    subject     TEXT,
    actor       TEXT    NOT NULL,
    role        TEXT,
    trace_id    TEXT,
    emits       TEXT,
    body        TEXT    NOT NULL,
    hash        BLOB    NOT NULL
);
CREATE TRIGGER shadow_log_no_update BEFORE UPDATE ON shadow_log
BEGIN
    SELECT RAISE(ABORT, 'shadow_log is append-only');
END;
CREATE TRIGGER shadow_log_no_delete BEFORE DELETE ON shadow_log
BEGIN
    SELECT RAISE(ABORT, 'shadow_log is append-only');
END;
-- Events and plain finals are found by their number: no index pages for the many.
CREATE INDEX shadow_log_subject ON shadow_log (subject, log_seq)
    WHERE kind <> 'event' AND kind <> 'final';
CREATE INDEX shadow_log_account ON shadow_log (account_id, log_seq)
    WHERE kind <> 'event' AND kind <> 'final';
CREATE INDEX shadow_log_kind ON shadow_log (kind, log_seq)
    WHERE kind <> 'event' AND kind <> 'final';

-- One row per commit: which records were known at an instant.
CREATE TABLE shadow_commits (
    recorded_at INTEGER PRIMARY KEY,
    last_seq    BIGINT NOT NULL
);

-- The end of the log; one row.
CREATE TABLE shadow_head (
    one         INTEGER PRIMARY KEY,
    log_seq     BIGINT NOT NULL,
    hash        BLOB   NOT NULL,
    recorded_at BIGINT NOT NULL,
    books       BIGINT NOT NULL
);
INSERT INTO shadow_head (one, log_seq, hash, recorded_at, books)
VALUES (1, 0, X'0000000000000000000000000000000000000000000000000000000000000000', 0, 0);

CREATE TABLE shadow_books (
    book_id    INTEGER PRIMARY KEY,
    account_id TEXT    NOT NULL,
    currency   TEXT    NOT NULL,
    floor      TEXT,
    policy     TEXT    NOT NULL,
    grace_ms   BIGINT  NOT NULL,
    zone       TEXT,
    tolerance  TEXT,
    linked     BOOLEAN NOT NULL,
    events     BIGINT  NOT NULL,
    entries    BIGINT  NOT NULL,
    m0         BIGINT  NOT NULL,
    m1         BIGINT  NOT NULL,
    m2         BIGINT  NOT NULL,
    last_ts    BIGINT,
    last_event TEXT,
    blocks     BIGINT  NOT NULL,
    log_seq    BIGINT  NOT NULL,
    UNIQUE (account_id, currency)
);

-- Derived: every recorded event at its place. Amounts are signed, in three columns in base 10^10.
CREATE TABLE shadow_entries (
    book_id      BIGINT  NOT NULL,
    ts           BIGINT  NOT NULL,
    event_id     TEXT    NOT NULL,
    log_seq      BIGINT  NOT NULL,
    recorded_at  BIGINT  NOT NULL,
    m0           BIGINT  NOT NULL,
    m1           BIGINT  NOT NULL,
    m2           BIGINT  NOT NULL,
    state        TEXT    NOT NULL,
    reason       TEXT,
    is_open      BOOLEAN NOT NULL,
    deadline     BIGINT,
    first_state  TEXT    NOT NULL,
    first_reason TEXT,
    changed_seq  BIGINT  NOT NULL,
    final_seq    BIGINT,
    correction   BOOLEAN NOT NULL,
    cause        TEXT,
    reference    TEXT,
    description  TEXT,
    source       TEXT,
    sequence     BIGINT,
    PRIMARY KEY (book_id, ts, event_id)
) WITHOUT ROWID;
CREATE UNIQUE INDEX shadow_entries_event ON shadow_entries (event_id);
CREATE INDEX shadow_entries_deadline ON shadow_entries (deadline) WHERE is_open;
CREATE INDEX shadow_entries_sequence ON shadow_entries (source, sequence)
    WHERE sequence IS NOT NULL;
CREATE INDEX shadow_entries_unapplied ON shadow_entries (state, log_seq) WHERE state <> 'applied';

-- Changes of state after the first one: what was known at an instant.
CREATE TABLE shadow_changes (
    event_id TEXT   NOT NULL,
    log_seq  BIGINT NOT NULL,
    state    TEXT   NOT NULL,
    reason   TEXT,
    PRIMARY KEY (event_id, log_seq)
) WITHOUT ROWID;

-- Checkpointed sums of books with more than one block.
CREATE TABLE shadow_blocks (
    book_id     BIGINT NOT NULL,
    block       BIGINT NOT NULL,
    first_ts    BIGINT NOT NULL,
    first_event TEXT   NOT NULL,
    last_ts     BIGINT NOT NULL,
    last_event  TEXT   NOT NULL,
    entries     BIGINT NOT NULL,
    m0          BIGINT NOT NULL,
    m1          BIGINT NOT NULL,
    m2          BIGINT NOT NULL,
    PRIMARY KEY (book_id, block)
) WITHOUT ROWID;
CREATE INDEX shadow_blocks_last ON shadow_blocks (book_id, last_ts);

-- Results of intakes under an Idempotency-Key.
CREATE TABLE shadow_keys (
    scope       TEXT   NOT NULL,
    body_digest BLOB   NOT NULL,
    status      BIGINT NOT NULL,
    answer      TEXT   NOT NULL,
    recorded_at BIGINT NOT NULL,
    PRIMARY KEY (scope)
) WITHOUT ROWID;

CREATE TABLE shadow_dead_letters (
    id           TEXT   PRIMARY KEY,
    topic        TEXT   NOT NULL,
    part         BIGINT NOT NULL,
    offs         BIGINT NOT NULL,
    message_key  TEXT,
    received_at  BIGINT NOT NULL,
    reason       TEXT   NOT NULL,
    payload      BLOB   NOT NULL,
    digest       TEXT   NOT NULL,
    trace_id     TEXT,
    status       TEXT   NOT NULL,
    arrival      BIGINT NOT NULL,
    UNIQUE (topic, part, offs)
);
CREATE INDEX shadow_dead_letters_arrival ON shadow_dead_letters (status, arrival);

-- Notes of the chain's end, signed.
CREATE TABLE shadow_checkpoints (
    log_seq     INTEGER PRIMARY KEY,
    hash        BLOB   NOT NULL,
    recorded_at BIGINT NOT NULL,
    note        TEXT   NOT NULL
);

-- How far each reader of the log has come.
CREATE TABLE shadow_readers (
    name    TEXT   PRIMARY KEY,
    log_seq BIGINT NOT NULL
);
