CREATE TABLE tk_refunds (
    id TEXT PRIMARY KEY,
    order_id TEXT NOT NULL,
    event_id TEXT NOT NULL,
    org_id TEXT NOT NULL,
    status TEXT NOT NULL,
    amount INTEGER NOT NULL,
    currency TEXT NOT NULL,
    net INTEGER NOT NULL,
    tax INTEGER NOT NULL,
    platform_fee INTEGER NOT NULL,
    processing_fee INTEGER NOT NULL,
    -- What decided it: buyer, organizer, support, event_cancelled, provider.
    cause TEXT NOT NULL,
    reason TEXT,
    keep_tickets INTEGER NOT NULL,
    -- Where the money goes: wallet, card or none.
    method TEXT NOT NULL,
    wallet_id TEXT,
    attempt INTEGER NOT NULL DEFAULT 1,
    failure TEXT,
    job_id TEXT,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;
CREATE INDEX tk_refunds_order ON tk_refunds (order_id, id);
CREATE INDEX tk_refunds_event ON tk_refunds (event_id, status);
CREATE INDEX tk_refunds_job ON tk_refunds (job_id, status);

-- What of each ticket went back. A refund that failed keeps its rows: the sum waits in its
-- account, and nobody may promise it a second time.
CREATE TABLE tk_refund_tickets (
    refund_id TEXT NOT NULL,
    ticket_id TEXT NOT NULL,
    order_id TEXT NOT NULL,
    amount INTEGER NOT NULL,
    net INTEGER NOT NULL,
    tax INTEGER NOT NULL,
    platform_fee INTEGER NOT NULL,
    processing_fee INTEGER NOT NULL,
    PRIMARY KEY (refund_id, ticket_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX tk_refund_tickets_order ON tk_refund_tickets (order_id);

-- Refunds of a whole event. `position` is the last order that was dealt with.
CREATE TABLE tk_refund_jobs (
    id TEXT PRIMARY KEY,
    event_id TEXT NOT NULL,
    org_id TEXT NOT NULL,
    currency TEXT NOT NULL,
    state TEXT NOT NULL,
    total INTEGER NOT NULL,
    position TEXT NOT NULL,
    reason TEXT,
    created_at INTEGER NOT NULL,
    finished_at INTEGER
) STRICT;
CREATE INDEX tk_refund_jobs_event ON tk_refund_jobs (event_id, id);
CREATE INDEX tk_refund_jobs_open ON tk_refund_jobs (created_at) WHERE state = 'running';
