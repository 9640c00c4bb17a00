-- Card payments. Amounts are minor units, times microseconds; times of the provider are seconds.
-- An intent at the provider for one order. `creating`: the provider may know it or not; `open`:
-- it can still be paid; `paid`: it confirmed the order; `returning`: its money goes back;
-- `closed`: it was given up.
CREATE TABLE tk_card_intents (
    id TEXT NOT NULL PRIMARY KEY,
    order_id TEXT NOT NULL,
    order_number TEXT NOT NULL,
    event_id TEXT NOT NULL,
    org_id TEXT NOT NULL,
    amount INTEGER NOT NULL,
    currency TEXT NOT NULL,
    state TEXT NOT NULL,
    provider_id TEXT UNIQUE,
    provider_status TEXT,
    charge_id TEXT,
    declined TEXT,
    received INTEGER,
    cost INTEGER,
    -- Attempts to charge it from here; the last one while its end is not known.
    confirms INTEGER NOT NULL DEFAULT 0,
    confirm_at INTEGER,
    confirm_method TEXT,
    tries INTEGER NOT NULL DEFAULT 0,
    ask_at INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;
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
    id TEXT NOT NULL PRIMARY KEY,
    kind TEXT NOT NULL,
    refund_id TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    order_id TEXT NOT NULL,
    event_id TEXT NOT NULL,
    org_id TEXT NOT NULL,
    intent_id TEXT NOT NULL,
    amount INTEGER NOT NULL,
    currency TEXT NOT NULL,
    reason TEXT,
    state TEXT NOT NULL,
    provider_id TEXT UNIQUE,
    failure TEXT,
    tries INTEGER NOT NULL DEFAULT 0,
    ask_at INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;
CREATE INDEX tk_card_refunds_refund ON tk_card_refunds (refund_id, attempt);
CREATE INDEX tk_card_refunds_order ON tk_card_refunds (order_id);
CREATE INDEX tk_card_refunds_due ON tk_card_refunds (ask_at) WHERE state IN ('created', 'pending');

-- Disputes of card payments: `inquiry`, `open`, `won`, `lost`, `closed`.
CREATE TABLE tk_card_disputes (
    id TEXT NOT NULL PRIMARY KEY,
    provider_id TEXT NOT NULL UNIQUE,
    intent_id TEXT NOT NULL,
    order_id TEXT NOT NULL,
    event_id TEXT NOT NULL,
    org_id TEXT NOT NULL,
    amount INTEGER NOT NULL,
    fee INTEGER NOT NULL,
    currency TEXT NOT NULL,
    state TEXT NOT NULL,
    opened_at INTEGER,
    closed_at INTEGER,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;
CREATE INDEX tk_card_disputes_order ON tk_card_disputes (order_id);
CREATE INDEX tk_card_disputes_event ON tk_card_disputes (event_id, state);
CREATE INDEX tk_card_disputes_open ON tk_card_disputes (org_id, currency) WHERE state = 'open';

-- What the provider told, each event once. Nothing of it is kept but which object to look at.
CREATE TABLE tk_card_inbox (
    provider TEXT NOT NULL,
    event_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    object_id TEXT NOT NULL,
    intent_id TEXT,
    happened_at INTEGER NOT NULL,
    -- `webhook`, or `poller` for what was never delivered.
    source TEXT NOT NULL,
    state TEXT NOT NULL,
    fault TEXT,
    tries INTEGER NOT NULL,
    received_at INTEGER NOT NULL,
    done_at INTEGER,
    PRIMARY KEY (provider, event_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX tk_card_inbox_time ON tk_card_inbox (received_at, event_id);

-- Payouts of the provider to our bank account.
CREATE TABLE tk_card_payouts (
    provider_id TEXT NOT NULL PRIMARY KEY,
    amount INTEGER NOT NULL,
    currency TEXT NOT NULL,
    posted_at INTEGER NOT NULL
) STRICT;

-- How far the provider's list of events was read, in its seconds.
CREATE TABLE tk_card_positions (
    reader TEXT NOT NULL PRIMARY KEY,
    position INTEGER NOT NULL
) STRICT;

-- The comparison of each day.
CREATE TABLE tk_card_reports (
    day TEXT NOT NULL PRIMARY KEY,
    body TEXT NOT NULL,
    made_at INTEGER NOT NULL
) STRICT;
