-- Places in the sequence of order numbers are handed out in blocks.
CREATE TABLE tk_sequences (
    name TEXT COLLATE "C" PRIMARY KEY,
    next BIGINT NOT NULL
);

-- An order. Amounts are minor units, times microseconds. What it costs is frozen in it: `parts`
-- holds the parts of each ticket, in the order of the ticket numbers.
CREATE TABLE tk_orders (
    id TEXT COLLATE "C" PRIMARY KEY,
    number TEXT COLLATE "C" NOT NULL UNIQUE,
    org_id TEXT COLLATE "C" NOT NULL,
    event_id TEXT COLLATE "C" NOT NULL,
    status TEXT COLLATE "C" NOT NULL,
    channel TEXT COLLATE "C" NOT NULL,
    -- Keyed digest of the buyer key, for limits.
    buyer BYTEA NOT NULL,
    -- Subject of the account it belongs to, if any.
    owner_sub TEXT COLLATE "C",
    person_id TEXT COLLATE "C" NOT NULL,
    -- Sealed: name, e-mail, phone; attendees with their answers.
    contact BYTEA NOT NULL,
    attendees BYTEA,
    access_digest BYTEA,
    currency TEXT COLLATE "C" NOT NULL,
    fee_payer TEXT COLLATE "C" NOT NULL,
    promo_id TEXT COLLATE "C",
    subtotal BIGINT NOT NULL,
    discount BIGINT NOT NULL,
    tax BIGINT NOT NULL,
    tickets BIGINT NOT NULL,
    platform_fee BIGINT NOT NULL,
    processing_fee BIGINT NOT NULL,
    total BIGINT NOT NULL,
    refunded BIGINT NOT NULL DEFAULT 0,
    parts TEXT COLLATE "C" NOT NULL,
    units BIGINT NOT NULL,
    expires_at BIGINT,
    -- The right to the hold was lengthened once for a card payment.
    extended BOOLEAN NOT NULL DEFAULT FALSE,
    payment_method TEXT COLLATE "C",
    payment_status TEXT COLLATE "C" NOT NULL,
    -- The wallet attempt or card intent that is at work or paid.
    payment_id TEXT COLLATE "C",
    late_honoured BOOLEAN NOT NULL DEFAULT FALSE,
    needs_review BOOLEAN NOT NULL DEFAULT FALSE,
    visitor_id TEXT COLLATE "C",
    source TEXT COLLATE "C",
    created_at BIGINT NOT NULL,
    confirmed_at BIGINT,
    updated_at BIGINT NOT NULL,
    CHECK (refunded >= 0 AND refunded <= total)
);
CREATE INDEX tk_orders_buyer ON tk_orders (event_id, buyer, status);
CREATE INDEX tk_orders_event ON tk_orders (event_id, id);
CREATE INDEX tk_orders_owner ON tk_orders (owner_sub, id);
CREATE INDEX tk_orders_person ON tk_orders (person_id);
CREATE INDEX tk_orders_due ON tk_orders (expires_at) WHERE status IN ('reserved', 'pending');

CREATE TABLE tk_order_items (
    order_id TEXT COLLATE "C" NOT NULL,
    line BIGINT NOT NULL,
    type_id TEXT COLLATE "C" NOT NULL,
    quantity BIGINT NOT NULL,
    unit_price BIGINT NOT NULL,
    discount BIGINT NOT NULL,
    tax BIGINT NOT NULL,
    total BIGINT NOT NULL,
    PRIMARY KEY (order_id, line)
);

-- Units taken off the shelf. A hold leaves `held` once, in the transaction that moves the
-- counters of its type and pools.
CREATE TABLE tk_holds (
    id TEXT COLLATE "C" PRIMARY KEY,
    order_id TEXT COLLATE "C" NOT NULL,
    event_id TEXT COLLATE "C" NOT NULL,
    type_id TEXT COLLATE "C" NOT NULL,
    pools TEXT COLLATE "C" NOT NULL,
    quantity BIGINT NOT NULL CHECK (quantity > 0),
    state TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    left_at BIGINT
);
CREATE INDEX tk_holds_order ON tk_holds (order_id);
CREATE INDEX tk_holds_event ON tk_holds (event_id, state);

-- A use of a promo code: taken with the hold, returned with it, kept by confirmation.
CREATE TABLE tk_promo_uses (
    order_id TEXT COLLATE "C" PRIMARY KEY,
    promo_id TEXT COLLATE "C" NOT NULL,
    buyer BYTEA NOT NULL,
    state TEXT COLLATE "C" NOT NULL
);
CREATE INDEX tk_promo_uses_buyer ON tk_promo_uses (promo_id, buyer, state);

-- Attempts to pay from a wallet. The id is the ledger's hold.
CREATE TABLE tk_wallet_payments (
    id TEXT COLLATE "C" PRIMARY KEY,
    order_id TEXT COLLATE "C" NOT NULL,
    event_id TEXT COLLATE "C" NOT NULL,
    wallet_id TEXT COLLATE "C" NOT NULL,
    owner_sub TEXT COLLATE "C",
    amount BIGINT NOT NULL,
    currency TEXT COLLATE "C" NOT NULL,
    -- The request, so that whoever ends the attempt can keep its answer.
    request TEXT COLLATE "C" NOT NULL,
    state TEXT COLLATE "C" NOT NULL,
    decline_code TEXT COLLATE "C",
    -- Whoever finds it at work after this time may end it.
    lease_until BIGINT NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE INDEX tk_wallet_payments_order ON tk_wallet_payments (order_id);
CREATE INDEX tk_wallet_payments_open ON tk_wallet_payments (lease_until) WHERE state = 'authorising';

-- Postings that are due: written with the business fact, posted after it, in order.
CREATE TABLE tk_due (
    id TEXT COLLATE "C" PRIMARY KEY,
    -- What it waits in line with: an order, refund or payout.
    line TEXT COLLATE "C" NOT NULL,
    -- Its place in the line.
    place BIGINT NOT NULL,
    body TEXT COLLATE "C" NOT NULL,
    state TEXT COLLATE "C" NOT NULL,
    fault TEXT COLLATE "C",
    tries BIGINT NOT NULL DEFAULT 0,
    next_at BIGINT NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE INDEX tk_due_line ON tk_due (line, place) WHERE state = 'due';
CREATE INDEX tk_due_next ON tk_due (next_at) WHERE state = 'due';

-- Lines of the ledger's feed that belong to this room, and how far they were read.
CREATE TABLE tk_posting_lines (
    seq BIGINT NOT NULL PRIMARY KEY,
    chain_id TEXT COLLATE "C" NOT NULL,
    posting TEXT COLLATE "C" NOT NULL,
    component TEXT COLLATE "C" NOT NULL,
    transfer_id TEXT COLLATE "C" NOT NULL,
    debit TEXT COLLATE "C" NOT NULL,
    credit TEXT COLLATE "C" NOT NULL,
    amount BIGINT NOT NULL,
    currency TEXT COLLATE "C" NOT NULL,
    org_id TEXT COLLATE "C",
    event_id TEXT COLLATE "C",
    order_id TEXT COLLATE "C",
    refund_id TEXT COLLATE "C",
    payout_id TEXT COLLATE "C",
    dispute_id TEXT COLLATE "C",
    recorded_at BIGINT NOT NULL
);
CREATE INDEX tk_posting_lines_order ON tk_posting_lines (order_id, seq);
CREATE INDEX tk_posting_lines_event ON tk_posting_lines (event_id, seq);
CREATE TABLE tk_posting_position (
    reader TEXT COLLATE "C" PRIMARY KEY,
    seq BIGINT NOT NULL
);

CREATE TABLE tk_fee_rules (
    scope TEXT COLLATE "C" NOT NULL,
    scope_id TEXT COLLATE "C" NOT NULL,
    currency TEXT COLLATE "C" NOT NULL,
    platform_bp BIGINT NOT NULL,
    platform_fixed BIGINT NOT NULL,
    processing_bp BIGINT NOT NULL,
    processing_fixed BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (scope, scope_id, currency)
);
