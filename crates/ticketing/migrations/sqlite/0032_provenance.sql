-- The log of this installation: its key, and the right edge of the tree over its leaves.
CREATE TABLE tk_log (
    name TEXT PRIMARY KEY,
    log_id TEXT NOT NULL,
    sealed_seed BLOB NOT NULL,
    frontier BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- One leaf per transition of a ticket, written with it; its place in the log is given by the next
-- checkpoint. Salt and payload are sealed under the key of the holder of that moment.
CREATE TABLE tk_leaves (
    ticket_id TEXT NOT NULL,
    n INTEGER NOT NULL,
    place INTEGER UNIQUE,
    hash BLOB NOT NULL,
    commitment BLOB NOT NULL,
    prev BLOB UNIQUE,
    kind TEXT NOT NULL,
    generation INTEGER NOT NULL,
    at INTEGER NOT NULL,
    person_id TEXT NOT NULL,
    opening BLOB NOT NULL,
    PRIMARY KEY (ticket_id, n)
) STRICT, WITHOUT ROWID;
CREATE INDEX tk_leaves_waiting ON tk_leaves (n, ticket_id) WHERE place IS NULL;
CREATE INDEX tk_leaves_person ON tk_leaves (person_id);

-- Roots of complete blocks of 256 leaves.
CREATE TABLE tk_log_blocks (
    place INTEGER NOT NULL PRIMARY KEY,
    hash BLOB NOT NULL
) STRICT;

CREATE TABLE tk_checkpoints (
    size INTEGER NOT NULL PRIMARY KEY,
    root BLOB NOT NULL,
    note TEXT NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;
