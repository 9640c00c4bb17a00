-- Key pairs that sign an event's tickets and bundles; the seed is sealed under the installation's
-- key and never leaves the server.
CREATE TABLE tk_event_keys (
    event_id TEXT NOT NULL,
    kid TEXT NOT NULL,
    public_key BLOB NOT NULL,
    sealed_seed BLOB NOT NULL,
    status TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (event_id, kid)
) STRICT, WITHOUT ROWID;
CREATE INDEX tk_event_keys_kid ON tk_event_keys (kid);

-- Number of changes to an event's tickets so far.
CREATE TABLE tk_gates (
    event_id TEXT PRIMARY KEY,
    sequence INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Every scan that was ever sent. `answer` is what it was answered, for the same nonce again.
CREATE TABLE tk_check_ins (
    id TEXT PRIMARY KEY,
    event_id TEXT NOT NULL,
    ticket_id TEXT,
    nonce TEXT NOT NULL,
    device_id TEXT NOT NULL,
    gate TEXT,
    area INTEGER,
    direction TEXT NOT NULL,
    generation INTEGER,
    online INTEGER NOT NULL,
    stale_bundle INTEGER NOT NULL,
    scanned_at INTEGER NOT NULL,
    effective_at INTEGER NOT NULL,
    recorded_at INTEGER NOT NULL,
    admitted INTEGER NOT NULL,
    reason TEXT NOT NULL,
    -- It is a passage that counts; and what is odd about it.
    counted INTEGER NOT NULL,
    conflict TEXT,
    answer TEXT NOT NULL,
    actor TEXT NOT NULL,
    undone_at INTEGER,
    undone_by TEXT
) STRICT;
CREATE UNIQUE INDEX tk_check_ins_nonce ON tk_check_ins (event_id, nonce);
CREATE INDEX tk_check_ins_event ON tk_check_ins (event_id, id);
CREATE INDEX tk_check_ins_ticket ON tk_check_ins (ticket_id);
CREATE INDEX tk_check_ins_conflict ON tk_check_ins (event_id, id) WHERE conflict IS NOT NULL;
CREATE INDEX tk_check_ins_entry ON tk_check_ins (event_id, effective_at) WHERE counted = TRUE;

-- Scanners with a key of their own, bound to one event.
CREATE TABLE tk_devices (
    id TEXT PRIMARY KEY,
    event_id TEXT NOT NULL,
    org_id TEXT NOT NULL,
    name TEXT NOT NULL,
    key_digest BLOB NOT NULL UNIQUE,
    created_by TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    revoked_at INTEGER
) STRICT;
CREATE INDEX tk_devices_event ON tk_devices (event_id, id);
