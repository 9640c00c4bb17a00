CREATE TABLE tk_refunds (
    id TEXT COLLATE "C" PRIMARY KEY,
    order_id TEXT COLLATE "C" NOT NULL,
    event_id TEXT COLLATE "C" NOT NULL,
    org_id TEXT COLLATE "C" NOT NULL,
    status TEXT COLLATE "C" NOT NULL,
    amount BIGINT NOT NULL,
    currency TEXT COLLATE "C" NOT NULL,
    net BIGINT NOT NULL,
    tax BIGINT NOT NULL,
    platform_fee BIGINT NOT NULL,
    processing_fee BIGINT NOT NULL,
    -- What decided it: buyer, organizer, support, event_cancelled, provider.
    cause TEXT COLLATE "C" NOT NULL,
    reason TEXT COLLATE "C",
    keep_tickets BOOLEAN NOT NULL,
    -- Where the money goes: wallet, card or none.
    method TEXT COLLATE "C" NOT NULL,
    wallet_id TEXT COLLATE "C",
    attempt BIGINT NOT NULL DEFAULT 1,
    failure TEXT COLLATE "C",
    job_id TEXT COLLATE "C",
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE INDEX tk_refunds_order ON tk_refunds (order_id, id);
CREATE INDEX tk_refunds_event ON tk_refunds (event_id, status);
CREATE INDEX tk_refunds_job ON tk_refunds (job_id, status);

-- What of each ticket went back. A refund that failed keeps its rows: the sum waits in its
-- account, and nobody may promise it a second time.
CREATE TABLE tk_refund_tickets (
    refund_id TEXT COLLATE "C" NOT NULL,
    ticket_id TEXT COLLATE "C" NOT NULL,
    order_id TEXT COLLATE "C" NOT NULL,
    amount BIGINT NOT NULL,
    net BIGINT NOT NULL,
    tax BIGINT NOT NULL,
    platform_fee BIGINT NOT NULL,
    processing_fee BIGINT NOT NULL,
    PRIMARY KEY (refund_id, ticket_id)
);
CREATE INDEX tk_refund_tickets_order ON tk_refund_tickets (order_id);

-- Refunds of a whole event. `position` is the last order that was dealt with.
CREATE TABLE tk_refund_jobs (
    id TEXT COLLATE "C" PRIMARY KEY,
    event_id TEXT COLLATE "C" NOT NULL,
    org_id TEXT COLLATE "C" NOT NULL,
    currency TEXT COLLATE "C" NOT NULL,
    state TEXT COLLATE "C" NOT NULL,
    total BIGINT NOT NULL,
    position TEXT COLLATE "C" NOT NULL,
    reason TEXT COLLATE "C",
    created_at BIGINT NOT NULL,
    finished_at BIGINT
);
CREATE INDEX tk_refund_jobs_event ON tk_refund_jobs (event_id, id);
CREATE INDEX tk_refund_jobs_open ON tk_refund_jobs (created_at) WHERE state = 'running';
