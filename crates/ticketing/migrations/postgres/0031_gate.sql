-- Key pairs that sign an event's tickets and bundles; the seed is sealed under the installation's
-- key and never leaves the server.
CREATE TABLE tk_event_keys (
    event_id TEXT COLLATE "C" NOT NULL,
    kid TEXT COLLATE "C" NOT NULL,
    public_key BYTEA NOT NULL,
    sealed_seed BYTEA NOT NULL,
    status TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (event_id, kid)
);
CREATE INDEX tk_event_keys_kid ON tk_event_keys (kid);

-- Number of changes to an event's tickets so far.
CREATE TABLE tk_gates (
    event_id TEXT COLLATE "C" PRIMARY KEY,
    sequence BIGINT NOT NULL
);

-- Every scan that was ever sent. `answer` is what it was answered, for the same nonce again.
CREATE TABLE tk_check_ins (
    id TEXT COLLATE "C" PRIMARY KEY,
    event_id TEXT COLLATE "C" NOT NULL,
    ticket_id TEXT COLLATE "C",
    nonce TEXT COLLATE "C" NOT NULL,
    device_id TEXT COLLATE "C" NOT NULL,
    gate TEXT COLLATE "C",
    area BIGINT,
    direction TEXT COLLATE "C" NOT NULL,
    generation BIGINT,
    online BOOLEAN NOT NULL,
    stale_bundle BOOLEAN NOT NULL,
    scanned_at BIGINT NOT NULL,
    effective_at BIGINT NOT NULL,
    recorded_at BIGINT NOT NULL,
    admitted BOOLEAN NOT NULL,
    reason TEXT COLLATE "C" NOT NULL,
    -- It is a passage that counts; and what is odd about it.
    counted BOOLEAN NOT NULL,
    conflict TEXT COLLATE "C",
    answer TEXT COLLATE "C" NOT NULL,
    actor TEXT COLLATE "C" NOT NULL,
    undone_at BIGINT,
    undone_by TEXT COLLATE "C"
);
CREATE UNIQUE INDEX tk_check_ins_nonce ON tk_check_ins (event_id, nonce);
CREATE INDEX tk_check_ins_event ON tk_check_ins (event_id, id);
CREATE INDEX tk_check_ins_ticket ON tk_check_ins (ticket_id);
CREATE INDEX tk_check_ins_conflict ON tk_check_ins (event_id, id) WHERE conflict IS NOT NULL;
CREATE INDEX tk_check_ins_entry ON tk_check_ins (event_id, effective_at) WHERE counted = TRUE;

-- Scanners with a key of their own, bound to one event.
CREATE TABLE tk_devices (
    id TEXT COLLATE "C" PRIMARY KEY,
    event_id TEXT COLLATE "C" NOT NULL,
    org_id TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    key_digest BYTEA NOT NULL UNIQUE,
    created_by TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    revoked_at BIGINT
);
CREATE INDEX tk_devices_event ON tk_devices (event_id, id);
