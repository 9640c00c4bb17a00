-- Figures folded from the lines of postings, so that a report of a large sale reads a few rows.
-- Everything here can be dropped and is folded again from the first line.
CREATE TABLE tk_money_sums (
    event_id TEXT NOT NULL,
    currency TEXT NOT NULL,
    posting TEXT NOT NULL,
    component TEXT NOT NULL,
    -- Kind of the account, such as `payable`.
    account TEXT NOT NULL,
    debits INTEGER NOT NULL,
    credits INTEGER NOT NULL,
    PRIMARY KEY (event_id, currency, posting, component, account)
) STRICT, WITHOUT ROWID;

-- Paid sales by quarter of an hour, type, channel and source. Rows with an empty type count each
-- order once; `source` is JSON, or empty for `direct`.
CREATE TABLE tk_sales_sums (
    event_id TEXT NOT NULL,
    slot INTEGER NOT NULL,
    type_id TEXT NOT NULL,
    channel TEXT NOT NULL,
    source TEXT NOT NULL,
    orders INTEGER NOT NULL,
    tickets INTEGER NOT NULL,
    gross INTEGER NOT NULL,
    discount INTEGER NOT NULL,
    PRIMARY KEY (event_id, slot, type_id, channel, source)
) STRICT, WITHOUT ROWID;

CREATE TABLE tk_fold_position (
    reader TEXT NOT NULL PRIMARY KEY,
    seq INTEGER NOT NULL
) STRICT;

-- Orders that have no posting, since they cost nothing.
CREATE INDEX tk_orders_without_cost ON tk_orders (event_id, confirmed_at) WHERE total = 0;

-- Steps of visitors before they order. No address and no browser is kept.
CREATE TABLE tk_tracks (
    event_id TEXT NOT NULL,
    visitor_id TEXT NOT NULL,
    step TEXT NOT NULL,
    source TEXT NOT NULL,
    first_at INTEGER NOT NULL,
    PRIMARY KEY (event_id, visitor_id, step)
) STRICT, WITHOUT ROWID;

-- Opens one stream of figures, once.
CREATE TABLE tk_stream_tokens (
    digest BLOB NOT NULL PRIMARY KEY,
    event_id TEXT NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;

CREATE TABLE tk_exports (
    id TEXT NOT NULL PRIMARY KEY,
    org_id TEXT NOT NULL,
    event_id TEXT,
    kind TEXT NOT NULL,
    format TEXT NOT NULL,
    status TEXT NOT NULL,
    rows_done INTEGER NOT NULL,
    blob_key TEXT,
    bytes INTEGER,
    failure TEXT,
    as_of INTEGER,
    ledger_position INTEGER,
    lease_until INTEGER NOT NULL,
    created_by TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    finished_at INTEGER,
    expires_at INTEGER
) STRICT;
CREATE INDEX tk_exports_open ON tk_exports (lease_until) WHERE status IN ('queued', 'running');
CREATE INDEX tk_exports_old ON tk_exports (expires_at) WHERE status = 'ready';
