-- Figures folded from the lines of postings, so that a report of a large sale reads a few rows.
-- Everything here can be dropped and is folded again from the first line.
CREATE TABLE tk_money_sums (
    event_id TEXT COLLATE "C" NOT NULL,
    currency TEXT COLLATE "C" NOT NULL,
    posting TEXT COLLATE "C" NOT NULL,
    component TEXT COLLATE "C" NOT NULL,
    -- Kind of the account, such as `payable`.
    account TEXT COLLATE "C" NOT NULL,
    debits BIGINT NOT NULL,
    credits BIGINT NOT NULL,
    PRIMARY KEY (event_id, currency, posting, component, account)
);

-- Paid sales by quarter of an hour, type, channel and source. Rows with an empty type count each
-- order once; `source` is JSON, or empty for `direct`.
CREATE TABLE tk_sales_sums (
    event_id TEXT COLLATE "C" NOT NULL,
    slot BIGINT NOT NULL,
    type_id TEXT COLLATE "C" NOT NULL,
    channel TEXT COLLATE "C" NOT NULL,
    source TEXT COLLATE "C" NOT NULL,
    orders BIGINT NOT NULL,
    tickets BIGINT NOT NULL,
    gross BIGINT NOT NULL,
    discount BIGINT NOT NULL,
    PRIMARY KEY (event_id, slot, type_id, channel, source)
);

CREATE TABLE tk_fold_position (
    reader TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    seq BIGINT NOT NULL
);

-- Orders that have no posting, since they cost nothing.
CREATE INDEX tk_orders_without_cost ON tk_orders (event_id, confirmed_at) WHERE total = 0;

-- Steps of visitors before they order. No address and no browser is kept.
CREATE TABLE tk_tracks (
    event_id TEXT COLLATE "C" NOT NULL,
    visitor_id TEXT COLLATE "C" NOT NULL,
    step TEXT COLLATE "C" NOT NULL,
    source TEXT COLLATE "C" NOT NULL,
    first_at BIGINT NOT NULL,
    PRIMARY KEY (event_id, visitor_id, step)
);

-- Opens one stream of figures, once.
CREATE TABLE tk_stream_tokens (
    digest BYTEA NOT NULL PRIMARY KEY,
    event_id TEXT COLLATE "C" NOT NULL,
    expires_at BIGINT NOT NULL
);

CREATE TABLE tk_exports (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    org_id TEXT COLLATE "C" NOT NULL,
    event_id TEXT COLLATE "C",
    kind TEXT COLLATE "C" NOT NULL,
    format TEXT COLLATE "C" NOT NULL,
    status TEXT COLLATE "C" NOT NULL,
    rows_done BIGINT NOT NULL,
    blob_key TEXT COLLATE "C",
    bytes BIGINT,
    failure TEXT COLLATE "C",
    as_of BIGINT,
    ledger_position BIGINT,
    lease_until BIGINT NOT NULL,
    created_by TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    finished_at BIGINT,
    expires_at BIGINT
);
CREATE INDEX tk_exports_open ON tk_exports (lease_until) WHERE status IN ('queued', 'running');
CREATE INDEX tk_exports_old ON tk_exports (expires_at) WHERE status = 'ready';
