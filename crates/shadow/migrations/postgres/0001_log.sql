-- The log: all else is derived from it (contract B4).
CREATE TABLE shadow_log (
    log_seq     BIGINT  PRIMARY KEY,
    recorded_at BIGINT  NOT NULL,
    kind        TEXT COLLATE "C"    NOT NULL,
    account_id  TEXT COLLATE "C",
    currency    TEXT COLLATE "C",
    subject     TEXT COLLATE "C",
    actor       TEXT COLLATE "C"    NOT NULL,
    role        TEXT COLLATE "C",
    trace_id    TEXT COLLATE "C",
    emits       TEXT COLLATE "C",
    body        TEXT COLLATE "C"    NOT NULL,
    hash        BYTEA    NOT NULL
);
CREATE FUNCTION shadow_log_refuse() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'shadow_log is append-only'; END $$;
CREATE TRIGGER shadow_log_no_change BEFORE UPDATE OR DELETE ON shadow_log
    FOR EACH ROW EXECUTE FUNCTION shadow_log_refuse();
-- Events and plain finals are found by their number: no index pages for the many.
CREATE INDEX shadow_log_subject ON shadow_log (subject, log_seq)
    WHERE kind <> 'event' AND kind <> 'final';
CREATE INDEX shadow_log_account ON shadow_log (account_id, log_seq)
    WHERE kind <> 'event' AND kind <> 'final';
CREATE INDEX shadow_log_kind ON shadow_log (kind, log_seq)
    WHERE kind <> 'event' AND kind <> 'final';

-- One row per commit: which records were known at an instant.
CREATE TABLE shadow_commits (
    recorded_at BIGINT  PRIMARY KEY,
    last_seq    BIGINT NOT NULL
);

-- The end of the log; one row.
CREATE TABLE shadow_head (
    one         BIGINT  PRIMARY KEY,
    log_seq     BIGINT NOT NULL,
    hash        BYTEA   NOT NULL,
    recorded_at BIGINT NOT NULL,
    books       BIGINT NOT NULL
);
INSERT INTO shadow_head (one, log_seq, hash, recorded_at, books)
VALUES (1, 0, '\x0000000000000000000000000000000000000000000000000000000000000000', 0, 0);

CREATE TABLE shadow_books (
    book_id    BIGINT  PRIMARY KEY,
    account_id TEXT COLLATE "C"    NOT NULL,
    currency   TEXT COLLATE "C"    NOT NULL,
    floor      TEXT COLLATE "C",
    policy     TEXT COLLATE "C"    NOT NULL,
    grace_ms   BIGINT  NOT NULL,
    zone       TEXT COLLATE "C",
    tolerance  TEXT COLLATE "C",
    linked     BOOLEAN NOT NULL,
    events     BIGINT  NOT NULL,
    entries    BIGINT  NOT NULL,
    m0         BIGINT  NOT NULL,
    m1         BIGINT  NOT NULL,
    m2         BIGINT  NOT NULL,
    last_ts    BIGINT,
    last_event TEXT COLLATE "C",
    blocks     BIGINT  NOT NULL,
    log_seq    BIGINT  NOT NULL,
    UNIQUE (account_id, currency)
);

-- Derived: every recorded event at its place. Amounts are signed, in three columns in base 10^10.
CREATE TABLE shadow_entries (
    book_id      BIGINT  NOT NULL,
    ts           BIGINT  NOT NULL,
    event_id     TEXT COLLATE "C"    NOT NULL,
    log_seq      BIGINT  NOT NULL,
    recorded_at  BIGINT  NOT NULL,
    m0           BIGINT  NOT NULL,
    m1           BIGINT  NOT NULL,
    m2           BIGINT  NOT NULL,
    state        TEXT COLLATE "C"    NOT NULL,
    reason       TEXT COLLATE "C",
    is_open      BOOLEAN NOT NULL,
    deadline     BIGINT,
    first_state  TEXT COLLATE "C"    NOT NULL,
    first_reason TEXT COLLATE "C",
    changed_seq  BIGINT  NOT NULL,
    final_seq    BIGINT,
    correction   BOOLEAN NOT NULL,
    cause        TEXT COLLATE "C",
    reference    TEXT COLLATE "C",
    description  TEXT COLLATE "C",
    source       TEXT COLLATE "C",
    sequence     BIGINT,
    PRIMARY KEY (book_id, ts, event_id)
);
CREATE UNIQUE INDEX shadow_entries_event ON shadow_entries (event_id);
CREATE INDEX shadow_entries_deadline ON shadow_entries (deadline) WHERE is_open;
CREATE INDEX shadow_entries_sequence ON shadow_entries (source, sequence)
    WHERE sequence IS NOT NULL;
CREATE INDEX shadow_entries_unapplied ON shadow_entries (state, log_seq) WHERE state <> 'applied';

-- Changes of state after the first one: what was known at an instant.
CREATE TABLE shadow_changes (
    event_id TEXT COLLATE "C"   NOT NULL,
    log_seq  BIGINT NOT NULL,
    state    TEXT COLLATE "C"   NOT NULL,
    reason   TEXT COLLATE "C",
    PRIMARY KEY (event_id, log_seq)
);

-- Checkpointed sums of books with more than one block.
CREATE TABLE shadow_blocks (
    book_id     BIGINT NOT NULL,
    block       BIGINT NOT NULL,
    first_ts    BIGINT NOT NULL,
    first_event TEXT COLLATE "C"   NOT NULL,
    last_ts     BIGINT NOT NULL,
    last_event  TEXT COLLATE "C"   NOT NULL,
    entries     BIGINT NOT NULL,
    m0          BIGINT NOT NULL,
    m1          BIGINT NOT NULL,
    m2          BIGINT NOT NULL,
    PRIMARY KEY (book_id, block)
);
CREATE INDEX shadow_blocks_last ON shadow_blocks (book_id, last_ts);

-- Results of intakes under an Idempotency-Key.
CREATE TABLE shadow_keys (
    scope       TEXT COLLATE "C"   NOT NULL,
    body_digest BYTEA   NOT NULL,
    status      BIGINT NOT NULL,
    answer      TEXT COLLATE "C"   NOT NULL,
    recorded_at BIGINT NOT NULL,
    PRIMARY KEY (scope)
);

CREATE TABLE shadow_dead_letters (
    id           TEXT COLLATE "C"   PRIMARY KEY,
    topic        TEXT COLLATE "C"   NOT NULL,
    part         BIGINT NOT NULL,
    offs         BIGINT NOT NULL,
    message_key  TEXT COLLATE "C",
    received_at  BIGINT NOT NULL,
    reason       TEXT COLLATE "C"   NOT NULL,
    payload      BYTEA   NOT NULL,
    digest       TEXT COLLATE "C"   NOT NULL,
    trace_id     TEXT COLLATE "C",
    status       TEXT COLLATE "C"   NOT NULL,
    arrival      BIGINT NOT NULL,
    UNIQUE (topic, part, offs)
);
CREATE INDEX shadow_dead_letters_arrival ON shadow_dead_letters (status, arrival);

-- Notes of the chain's end, signed.
CREATE TABLE shadow_checkpoints (
    log_seq     BIGINT  PRIMARY KEY,
    hash        BYTEA   NOT NULL,
    recorded_at BIGINT NOT NULL,
    note        TEXT COLLATE "C"   NOT NULL
);

-- How far each reader of the log has come.
CREATE TABLE shadow_readers (
    name    TEXT COLLATE "C"   PRIMARY KEY,
    log_seq BIGINT NOT NULL
);
