-- Who is told of events, and how each telling went. Times are microseconds since 1970 (UTC).
CREATE TABLE webhook_endpoints (
    id              TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    url             TEXT COLLATE "C" NOT NULL,
    events          TEXT COLLATE "C",                          -- names separated by commas; NULL = all
    key_filter      TEXT COLLATE "C",                          -- only events of this key (a wallet id); NULL = all
    secret          TEXT COLLATE "C" NOT NULL,                 -- whsec_…; kept readable because every try signs with it
    previous_secret TEXT COLLATE "C",                          -- signs beside `secret` until previous_until
    previous_until  BIGINT,
    disabled        TEXT COLLATE "C",                          -- why nothing is sent; NULL = enabled
    since_seq       BIGINT           NOT NULL,                 -- events up to this one are older than the endpoint
    created_at      BIGINT           NOT NULL,
    creation_scope  TEXT COLLATE "C",                          -- subject and Idempotency-Key of the creation
    creation_key    TEXT COLLATE "C",
    UNIQUE (creation_scope, creation_key)
);

-- state: ready (next of its key), waiting (behind another of its key), accepted, parked
CREATE TABLE webhook_deliveries (
    id          TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    endpoint_id TEXT COLLATE "C" NOT NULL,
    event_id    TEXT COLLATE "C" NOT NULL,
    event_type  TEXT COLLATE "C" NOT NULL,
    event_key   TEXT COLLATE "C" NOT NULL,
    place       BIGINT           NOT NULL,                     -- rises in the order in which events came
    body        TEXT COLLATE "C" NOT NULL,
    state       TEXT COLLATE "C" NOT NULL,
    tries       BIGINT           NOT NULL,                     -- of the running round; a redelivery starts a new one
    tries_total BIGINT           NOT NULL,
    next_at     BIGINT           NOT NULL,
    created_at  BIGINT           NOT NULL,
    finished_at BIGINT,
    UNIQUE (endpoint_id, event_id)
);
CREATE INDEX webhook_deliveries_due ON webhook_deliveries (endpoint_id, state, next_at);
CREATE INDEX webhook_deliveries_next ON webhook_deliveries (state, next_at);
CREATE INDEX webhook_deliveries_key ON webhook_deliveries (endpoint_id, event_key, state, place);
CREATE INDEX webhook_deliveries_list ON webhook_deliveries (endpoint_id, place);
CREATE INDEX webhook_deliveries_finished ON webhook_deliveries (state, finished_at);

CREATE TABLE webhook_tries (
    delivery_id TEXT COLLATE "C" NOT NULL,
    number      BIGINT           NOT NULL,
    at          BIGINT           NOT NULL,
    status      BIGINT,                                        -- HTTP status, NULL when no answer came
    error       TEXT COLLATE "C",
    duration_ms BIGINT           NOT NULL,
    PRIMARY KEY (delivery_id, number)
);
