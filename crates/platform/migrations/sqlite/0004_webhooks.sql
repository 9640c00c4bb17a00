-- Who is told of events, and how each telling went. Times are microseconds since 1970 (UTC).
CREATE TABLE webhook_endpoints (
    id              TEXT    NOT NULL PRIMARY KEY,
    url             TEXT    NOT NULL,
    events          TEXT,             -- names separated by commas; NULL = all
    key_filter      TEXT,             -- only events of this key (a wallet id); NULL = all
    secret          TEXT    NOT NULL, -- whsec_…; kept readable because every try signs with it
    previous_secret TEXT,             -- signs beside `secret` until previous_until
    previous_until  BIGINT,
    disabled        TEXT,             -- why nothing is sent; NULL = enabled
    since_seq       BIGINT  NOT NULL, -- events up to this one are older than the endpoint
    created_at      BIGINT  NOT NULL,
    creation_scope  TEXT,             -- subject and Idempotency-Key of the creation
    creation_key    TEXT,
    UNIQUE (creation_scope, creation_key)
);

-- state: ready (next of its key), waiting (behind another of its key), accepted, parked
CREATE TABLE webhook_deliveries (
    id          TEXT   NOT NULL PRIMARY KEY,
    endpoint_id TEXT   NOT NULL,
    event_id    TEXT   NOT NULL,
    event_type  TEXT   NOT NULL,
    event_key   TEXT   NOT NULL,
    place       BIGINT NOT NULL,      -- rises in the order in which events came
    body        TEXT   NOT NULL,
    state       TEXT   NOT NULL,
    tries       BIGINT NOT NULL,      -- of the running round; a redelivery starts a new one
    tries_total BIGINT NOT NULL,
    next_at     BIGINT NOT NULL,
    created_at  BIGINT NOT NULL,
    finished_at BIGINT,
    UNIQUE (endpoint_id, event_id)
);
CREATE INDEX webhook_deliveries_due ON webhook_deliveries (endpoint_id, state, next_at);
CREATE INDEX webhook_deliveries_next ON webhook_deliveries (state, next_at);
CREATE INDEX webhook_deliveries_key ON webhook_deliveries (endpoint_id, event_key, state, place);
CREATE INDEX webhook_deliveries_list ON webhook_deliveries (endpoint_id, place);
CREATE INDEX webhook_deliveries_finished ON webhook_deliveries (state, finished_at);

CREATE TABLE webhook_tries (
    delivery_id TEXT   NOT NULL,
    number      BIGINT NOT NULL,
    at          BIGINT NOT NULL,
    status      BIGINT,               -- HTTP status, NULL when no answer came
    error       TEXT,
    duration_ms BIGINT NOT NULL,
    PRIMARY KEY (delivery_id, number)
);
