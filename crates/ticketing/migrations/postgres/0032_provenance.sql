-- The log of this installation: its key, and the right edge of the tree over its leaves.
CREATE TABLE tk_log (
    name TEXT COLLATE "C" PRIMARY KEY,
    log_id TEXT COLLATE "C" NOT NULL,
    sealed_seed BYTEA NOT NULL,
    frontier BYTEA NOT NULL
);

-- One leaf per transition of a ticket, written with it; its place in the log is given by the next
-- checkpoint. Salt and payload are sealed under the key of the holder of that moment.
CREATE TABLE tk_leaves (
    ticket_id TEXT COLLATE "C" NOT NULL,
    n BIGINT NOT NULL,
    place BIGINT UNIQUE,
    hash BYTEA NOT NULL,
    commitment BYTEA NOT NULL,
    prev BYTEA UNIQUE,
    kind TEXT COLLATE "C" NOT NULL,
    generation BIGINT NOT NULL,
    at BIGINT NOT NULL,
    person_id TEXT COLLATE "C" NOT NULL,
    opening BYTEA NOT NULL,
    PRIMARY KEY (ticket_id, n)
);
CREATE INDEX tk_leaves_waiting ON tk_leaves (n, ticket_id) WHERE place IS NULL;
CREATE INDEX tk_leaves_person ON tk_leaves (person_id);

-- Roots of complete blocks of 256 leaves.
CREATE TABLE tk_log_blocks (
    place BIGINT PRIMARY KEY,
    hash BYTEA NOT NULL
);

CREATE TABLE tk_checkpoints (
    size BIGINT PRIMARY KEY,
    root BYTEA NOT NULL,
    note TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL
);
