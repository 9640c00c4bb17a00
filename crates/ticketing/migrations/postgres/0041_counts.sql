-- Tickets of each type by channel and status, and who came, moved in the transaction that moves
-- the tickets: a report of a million tickets reads a few rows.
CREATE TABLE tk_ticket_counts (
    event_id TEXT COLLATE "C" NOT NULL,
    type_id TEXT COLLATE "C" NOT NULL,
    channel TEXT COLLATE "C" NOT NULL,
    status TEXT COLLATE "C" NOT NULL,
    tickets BIGINT NOT NULL,
    PRIMARY KEY (event_id, type_id, channel, status)
);

INSERT INTO tk_ticket_counts (event_id, type_id, channel, status, tickets)
    SELECT event_id, type_id, channel, status, COUNT(*) FROM tk_tickets
    GROUP BY event_id, type_id, channel, status;

-- `came`: tickets with an entry that counts and is in no conflict; `inside`: tickets whose last
-- counted passage was inwards.
CREATE TABLE tk_entry_counts (
    event_id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    came BIGINT NOT NULL,
    inside BIGINT NOT NULL
);

INSERT INTO tk_entry_counts (event_id, came, inside)
    SELECT t.event_id,
        SUM(CASE WHEN EXISTS (SELECT 1 FROM tk_check_ins c WHERE c.ticket_id = t.id
            AND c.counted = TRUE AND c.direction = 'in' AND c.conflict IS NULL
            AND c.undone_at IS NULL) THEN 1 ELSE 0 END),
        SUM(CASE WHEN t.inside = TRUE THEN 1 ELSE 0 END)
    FROM tk_tickets t GROUP BY t.event_id;

-- Orders paid by card are counted with the sales; these are folded again from the first line.
DROP TABLE tk_sales_sums;
CREATE TABLE tk_sales_sums (
    event_id TEXT COLLATE "C" NOT NULL,
    slot BIGINT NOT NULL,
    type_id TEXT COLLATE "C" NOT NULL,
    channel TEXT COLLATE "C" NOT NULL,
    source TEXT COLLATE "C" NOT NULL,
    orders BIGINT NOT NULL,
    cards BIGINT NOT NULL,
    tickets BIGINT NOT NULL,
    gross BIGINT NOT NULL,
    discount BIGINT NOT NULL,
    PRIMARY KEY (event_id, slot, type_id, channel, source)
);
DELETE FROM tk_money_sums;
DELETE FROM tk_fold_position;

-- Orders that a code made free.
CREATE INDEX tk_orders_gifts ON tk_orders (event_id, confirmed_at, discount, total)
    WHERE total = 0 AND discount > 0;

-- Visitors who ordered, and orders of nobody that was seen before.
CREATE INDEX tk_orders_visitors ON tk_orders (event_id, visitor_id, confirmed_at, channel)
    WHERE visitor_id IS NOT NULL AND channel = 'online';
CREATE INDEX tk_orders_strangers ON tk_orders (event_id, visitor_id, confirmed_at, channel)
    WHERE visitor_id IS NULL AND channel = 'online' AND confirmed_at IS NOT NULL;

-- Exports and bundles walk over the tickets of an event by id.
CREATE INDEX tk_tickets_list ON tk_tickets (event_id, id);

-- First answers are looked for by key, many at a time; what organisers are told is read in order.
CREATE INDEX tk_idempotency_key ON tk_idempotency (key);
CREATE INDEX tk_outbox_order ON tk_outbox (created_at, id);
