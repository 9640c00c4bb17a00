-- Places in the sequence of order numbers are handed out in blocks.
CREATE TABLE tk_sequences (
    name TEXT PRIMARY KEY,
    next INTEGER NOT NULL
) STRICT;

-- An order. Amounts are minor units, times microseconds. What it costs is frozen in it: `parts`
-- holds the parts of each ticket, in the order of the ticket numbers.
CREATE TABLE tk_orders (
    id TEXT PRIMARY KEY,
    number TEXT NOT NULL UNIQUE,
    org_id TEXT NOT NULL,
    event_id TEXT NOT NULL,
    status TEXT NOT NULL,
    channel TEXT NOT NULL,
    -- Keyed digest of the buyer key, for limits.
    buyer BLOB NOT NULL,
    -- Subject of the account it belongs to, if any.
    owner_sub TEXT,
    person_id TEXT NOT NULL,
    -- Sealed: name, e-mail, phone; attendees with their answers.
    contact BLOB NOT NULL,
    attendees BLOB,
    access_digest BLOB,
    currency TEXT NOT NULL,
    fee_payer TEXT NOT NULL,
    promo_id TEXT,
    subtotal INTEGER NOT NULL,
    discount INTEGER NOT NULL,
    tax INTEGER NOT NULL,
    tickets INTEGER NOT NULL,
    platform_fee INTEGER NOT NULL,
    processing_fee INTEGER NOT NULL,
    total INTEGER NOT NULL,
    refunded INTEGER NOT NULL DEFAULT 0,
    parts TEXT NOT NULL,
    units INTEGER NOT NULL,
    expires_at INTEGER,
    -- The right to the hold was lengthened once for a card payment.
    extended INTEGER NOT NULL DEFAULT 0,
    payment_method TEXT,
    payment_status TEXT NOT NULL,
    -- The wallet attempt or card intent that is at work or paid.
    payment_id TEXT,
    late_honoured INTEGER NOT NULL DEFAULT 0,
    needs_review INTEGER NOT NULL DEFAULT 0,
    visitor_id TEXT,
    source TEXT,
    created_at INTEGER NOT NULL,
    confirmed_at INTEGER,
    updated_at INTEGER NOT NULL,
    CHECK (refunded >= 0 AND refunded <= total)
) STRICT;
CREATE INDEX tk_orders_buyer ON tk_orders (event_id, buyer, status);
CREATE INDEX tk_orders_event ON tk_orders (event_id, id);
CREATE INDEX tk_orders_owner ON tk_orders (owner_sub, id);
CREATE INDEX tk_orders_person ON tk_orders (person_id);
CREATE INDEX tk_orders_due ON tk_orders (expires_at) WHERE status IN ('reserved', 'pending');

CREATE TABLE tk_order_items (
    order_id TEXT NOT NULL,
    line INTEGER NOT NULL,
    type_id TEXT NOT NULL,
    quantity INTEGER NOT NULL,
    unit_price INTEGER NOT NULL,
    discount INTEGER NOT NULL,
    tax INTEGER NOT NULL,
    total INTEGER NOT NULL,
    PRIMARY KEY (order_id, line)
) STRICT, WITHOUT ROWID;

-- Units taken off the shelf. A hold leaves `held` once, in the transaction that moves the
-- counters of its type and pools.
CREATE TABLE tk_holds (
    id TEXT PRIMARY KEY,
    order_id TEXT NOT NULL,
    event_id TEXT NOT NULL,
    type_id TEXT NOT NULL,
    pools TEXT NOT NULL,
    quantity INTEGER NOT NULL CHECK (quantity > 0),
    state TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    left_at INTEGER
) STRICT;
CREATE INDEX tk_holds_order ON tk_holds (order_id);
CREATE INDEX tk_holds_event ON tk_holds (event_id, state);

-- A use of a promo code: taken with the hold, returned with it, kept by confirmation.
CREATE TABLE tk_promo_uses (
    order_id TEXT PRIMARY KEY,
    promo_id TEXT NOT NULL,
    buyer BLOB NOT NULL,
    state TEXT NOT NULL
) STRICT;
CREATE INDEX tk_promo_uses_buyer ON tk_promo_uses (promo_id, buyer, state);

-- Attempts to pay from a wallet. The id is the ledger's hold.
CREATE TABLE tk_wallet_payments (
    id TEXT PRIMARY KEY,
    order_id TEXT NOT NULL,
    event_id TEXT NOT NULL,
    wallet_id TEXT NOT NULL,
    owner_sub TEXT,
    amount INTEGER NOT NULL,
    currency TEXT NOT NULL,
    -- The request, so that whoever ends the attempt can keep its answer.
    request TEXT NOT NULL,
    state TEXT NOT NULL,
    decline_code TEXT,
    -- Whoever finds it at work after this time may end it.
    lease_until INTEGER NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX tk_wallet_payments_order ON tk_wallet_payments (order_id);
CREATE INDEX tk_wallet_payments_open ON tk_wallet_payments (lease_until) WHERE state = 'authorising';

-- Postings that are due: written with the business fact, posted after it, in order.
CREATE TABLE tk_due (
    id TEXT PRIMARY KEY,
    -- What it waits in line with: an order, refund or payout.
    line TEXT NOT NULL,
    -- Its place in the line.
    place INTEGER NOT NULL,
    body TEXT NOT NULL,
    state TEXT NOT NULL,
    fault TEXT,
    tries INTEGER NOT NULL DEFAULT 0,
    next_at INTEGER NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX tk_due_line ON tk_due (line, place) WHERE state = 'due';
CREATE INDEX tk_due_next ON tk_due (next_at) WHERE state = 'due';

-- Lines of the ledger's feed that belong to this room, and how far they were read.
CREATE TABLE tk_posting_lines (
    seq INTEGER NOT NULL PRIMARY KEY,
    chain_id TEXT NOT NULL,
    posting TEXT NOT NULL,
    component TEXT NOT NULL,
    transfer_id TEXT NOT NULL,
    debit TEXT NOT NULL,
    credit TEXT NOT NULL,
    amount INTEGER NOT NULL,
    currency TEXT NOT NULL,
    org_id TEXT,
    event_id TEXT,
    order_id TEXT,
    refund_id TEXT,
    payout_id TEXT,
    dispute_id TEXT,
    recorded_at INTEGER NOT NULL
) STRICT;
CREATE INDEX tk_posting_lines_order ON tk_posting_lines (order_id, seq);
CREATE INDEX tk_posting_lines_event ON tk_posting_lines (event_id, seq);
CREATE TABLE tk_posting_position (
    reader TEXT PRIMARY KEY,
    seq INTEGER NOT NULL
) STRICT;

CREATE TABLE tk_fee_rules (
    scope TEXT NOT NULL,
    scope_id TEXT NOT NULL,
    currency TEXT NOT NULL,
    platform_bp INTEGER NOT NULL,
    platform_fixed INTEGER NOT NULL,
    processing_bp INTEGER NOT NULL,
    processing_fixed INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (scope, scope_id, currency)
) STRICT, WITHOUT ROWID;
