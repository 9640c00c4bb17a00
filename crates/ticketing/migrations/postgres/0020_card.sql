-- Card payments. Amounts are minor units, times microseconds; times of the provider are seconds.
-- An intent at the provider for one order. `creating`: the provider may know it or not; `open`:
-- it can still be paid; `paid`: it confirmed the order; `returning`: its money goes back;
-- `closed`: it was given up.
CREATE TABLE tk_card_intents (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    order_id TEXT COLLATE "C" NOT NULL,
    order_number TEXT COLLATE "C" NOT NULL,
    event_id TEXT COLLATE "C" NOT NULL,
    org_id TEXT COLLATE "C" NOT NULL,
    amount BIGINT NOT NULL,
    currency TEXT COLLATE "C" NOT NULL,
    state TEXT COLLATE "C" NOT NULL,
    provider_id TEXT COLLATE "C" UNIQUE,
    provider_status TEXT COLLATE "C",
    charge_id TEXT COLLATE "C",
    declined TEXT COLLATE "C",
    received BIGINT,
    cost BIGINT,
    -- Attempts to charge it from here; the last one while its end is not known.
    confirms BIGINT NOT NULL DEFAULT 0,
    confirm_at BIGINT,
    confirm_method TEXT COLLATE "C",
    tries BIGINT NOT NULL DEFAULT 0,
    ask_at BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE UNIQUE INDEX tk_card_intents_live ON tk_card_intents (order_id)
    WHERE state IN ('creating', 'open');
CREATE INDEX tk_card_intents_order ON tk_card_intents (order_id, id);
CREATE INDEX tk_card_intents_charge ON tk_card_intents (charge_id);
CREATE INDEX tk_card_intents_due ON tk_card_intents (ask_at) WHERE state IN ('creating', 'open');
CREATE INDEX tk_card_intents_costless ON tk_card_intents (ask_at)
    WHERE state IN ('paid', 'returning') AND cost IS NULL;

-- Money that goes back by card, one row for each try. `refund` belongs to a refund of the order,
-- `return` is a payment that bought nothing, `console` was made at the provider. The id is that of
-- the account `refunds:{refund_id}`, `:`, the try.
CREATE TABLE tk_card_refunds (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    kind TEXT COLLATE "C" NOT NULL,
    refund_id TEXT COLLATE "C" NOT NULL,
    attempt BIGINT NOT NULL,
    order_id TEXT COLLATE "C" NOT NULL,
    event_id TEXT COLLATE "C" NOT NULL,
    org_id TEXT COLLATE "C" NOT NULL,
    intent_id TEXT COLLATE "C" NOT NULL,
    amount BIGINT NOT NULL,
    currency TEXT COLLATE "C" NOT NULL,
    reason TEXT COLLATE "C",
    state TEXT COLLATE "C" NOT NULL,
    provider_id TEXT COLLATE "C" UNIQUE,
    failure TEXT COLLATE "C",
    tries BIGINT NOT NULL DEFAULT 0,
    ask_at BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE INDEX tk_card_refunds_refund ON tk_card_refunds (refund_id, attempt);
CREATE INDEX tk_card_refunds_order ON tk_card_refunds (order_id);
CREATE INDEX tk_card_refunds_due ON tk_card_refunds (ask_at) WHERE state IN ('created', 'pending');

-- Disputes of card payments: `inquiry`, `open`, `won`, `lost`, `closed`.
CREATE TABLE tk_card_disputes (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    provider_id TEXT COLLATE "C" NOT NULL UNIQUE,
    intent_id TEXT COLLATE "C" NOT NULL,
    order_id TEXT COLLATE "C" NOT NULL,
    event_id TEXT COLLATE "C" NOT NULL,
    org_id TEXT COLLATE "C" NOT NULL,
    amount BIGINT NOT NULL,
    fee BIGINT NOT NULL,
    currency TEXT COLLATE "C" NOT NULL,
    state TEXT COLLATE "C" NOT NULL,
    opened_at BIGINT,
    closed_at BIGINT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE INDEX tk_card_disputes_order ON tk_card_disputes (order_id);
CREATE INDEX tk_card_disputes_event ON tk_card_disputes (event_id, state);
CREATE INDEX tk_card_disputes_open ON tk_card_disputes (org_id, currency) WHERE state = 'open';

-- What the provider told, each event once. Nothing of it is kept but which object to look at.
CREATE TABLE tk_card_inbox (
    provider TEXT COLLATE "C" NOT NULL,
    event_id TEXT COLLATE "C" NOT NULL,
    kind TEXT COLLATE "C" NOT NULL,
    object_id TEXT COLLATE "C" NOT NULL,
    intent_id TEXT COLLATE "C",
    happened_at BIGINT NOT NULL,
    -- `webhook`, or `poller` for what was never delivered.
    source TEXT COLLATE "C" NOT NULL,
    state TEXT COLLATE "C" NOT NULL,
    fault TEXT COLLATE "C",
    tries BIGINT NOT NULL,
    received_at BIGINT NOT NULL,
    done_at BIGINT,
    PRIMARY KEY (provider, event_id)
);
CREATE INDEX tk_card_inbox_time ON tk_card_inbox (received_at, event_id);

-- Payouts of the provider to our bank account.
CREATE TABLE tk_card_payouts (
    provider_id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    amount BIGINT NOT NULL,
    currency TEXT COLLATE "C" NOT NULL,
    posted_at BIGINT NOT NULL
);

-- How far the provider's list of events was read, in its seconds.
CREATE TABLE tk_card_positions (
    reader TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    position BIGINT NOT NULL
);

-- The comparison of each day.
CREATE TABLE tk_card_reports (
    day TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    body TEXT COLLATE "C" NOT NULL,
    made_at BIGINT NOT NULL
);
