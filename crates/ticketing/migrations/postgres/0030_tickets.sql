-- One row per ticket. Amounts are minor units: what the buyer paid for it, and its price without
-- fees. Transferability and the right to a refund stand at the type.
CREATE TABLE tk_tickets (
    id TEXT COLLATE "C" PRIMARY KEY,
    number TEXT COLLATE "C" NOT NULL UNIQUE,
    order_id TEXT COLLATE "C" NOT NULL,
    event_id TEXT COLLATE "C" NOT NULL,
    org_id TEXT COLLATE "C" NOT NULL,
    type_id TEXT COLLATE "C" NOT NULL,
    type_no BIGINT NOT NULL,
    position BIGINT NOT NULL,
    channel TEXT COLLATE "C" NOT NULL,
    status TEXT COLLATE "C" NOT NULL,
    generation BIGINT NOT NULL,
    -- The buyer, after a transfer whoever accepted it.
    owner_person TEXT COLLATE "C" NOT NULL,
    owner_sub TEXT COLLATE "C",
    -- Opens the ticket for a person without account, after a transfer.
    access_digest BYTEA,
    -- Who is printed; sealed under the key of `holder_person`.
    holder_person TEXT COLLATE "C" NOT NULL,
    holder_name BYTEA,
    holder_email BYTEA,
    answers BYTEA,
    currency TEXT COLLATE "C" NOT NULL,
    price BIGINT NOT NULL,
    paid_net BIGINT NOT NULL,
    paid_tax BIGINT NOT NULL,
    paid_platform BIGINT NOT NULL,
    paid_processing BIGINT NOT NULL,
    transferred BOOLEAN NOT NULL,
    transfers BIGINT NOT NULL,
    -- Its first counted way in; its last counted passage was inwards.
    used_at BIGINT,
    inside BOOLEAN NOT NULL,
    -- Hash and number of its last leaf in the provenance log.
    leaf BYTEA NOT NULL,
    leaves BIGINT NOT NULL,
    -- Number of the event's change that touched it last.
    changed BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE INDEX tk_tickets_order ON tk_tickets (order_id, position);
CREATE INDEX tk_tickets_event ON tk_tickets (event_id, changed);
CREATE INDEX tk_tickets_type ON tk_tickets (type_id, status);
CREATE INDEX tk_tickets_owner ON tk_tickets (owner_person, id);
CREATE INDEX tk_tickets_account ON tk_tickets (owner_sub, id);
CREATE INDEX tk_tickets_holder ON tk_tickets (holder_person);

-- An offer to hand a ticket on. At most one is open.
CREATE TABLE tk_transfers (
    id TEXT COLLATE "C" PRIMARY KEY,
    ticket_id TEXT COLLATE "C" NOT NULL,
    event_id TEXT COLLATE "C" NOT NULL,
    token_digest BYTEA NOT NULL UNIQUE,
    status TEXT COLLATE "C" NOT NULL,
    -- Sealed under the key of whoever is to get it.
    person_id TEXT COLLATE "C" NOT NULL,
    recipient_email BYTEA NOT NULL,
    recipient_name BYTEA,
    message BYTEA,
    expires_at BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    ended_at BIGINT
);
CREATE UNIQUE INDEX tk_transfers_open ON tk_transfers (ticket_id) WHERE status = 'pending';
CREATE INDEX tk_transfers_ticket ON tk_transfers (ticket_id, id);
CREATE INDEX tk_transfers_due ON tk_transfers (expires_at) WHERE status = 'pending';
CREATE INDEX tk_transfers_person ON tk_transfers (person_id);

-- Mails with tickets that are still to be written: of a whole order or of one ticket.
CREATE TABLE tk_ticket_mails (
    id TEXT COLLATE "C" PRIMARY KEY,
    event_id TEXT COLLATE "C" NOT NULL,
    order_id TEXT COLLATE "C",
    ticket_id TEXT COLLATE "C",
    kind TEXT COLLATE "C" NOT NULL,
    person_id TEXT COLLATE "C" NOT NULL,
    recipient BYTEA NOT NULL,
    created_at BIGINT NOT NULL,
    tries BIGINT NOT NULL DEFAULT 0,
    next_at BIGINT NOT NULL
);
CREATE INDEX tk_ticket_mails_due ON tk_ticket_mails (next_at);
