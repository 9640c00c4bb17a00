-- One row per ticket. Amounts are minor units: what the buyer paid for it, and its price without
-- fees. Transferability and the right to a refund stand at the type.
CREATE TABLE tk_tickets (
    id TEXT PRIMARY KEY,
    number TEXT NOT NULL UNIQUE,
    order_id TEXT NOT NULL,
    event_id TEXT NOT NULL,
    org_id TEXT NOT NULL,
    type_id TEXT NOT NULL,
    type_no INTEGER NOT NULL,
    position INTEGER NOT NULL,
    channel TEXT NOT NULL,
    status TEXT NOT NULL,
    generation INTEGER NOT NULL,
    -- The buyer, after a transfer whoever accepted it.
    owner_person TEXT NOT NULL,
    owner_sub TEXT,
    -- Opens the ticket for a person without account, after a transfer.
    access_digest BLOB,
    -- Who is printed; sealed under the key of `holder_person`.
    holder_person TEXT NOT NULL,
    holder_name BLOB,
    holder_email BLOB,
    answers BLOB,
    currency TEXT NOT NULL,
    price INTEGER NOT NULL,
    paid_net INTEGER NOT NULL,
    paid_tax INTEGER NOT NULL,
    paid_platform INTEGER NOT NULL,
    paid_processing INTEGER NOT NULL,
    transferred INTEGER NOT NULL,
    transfers INTEGER NOT NULL,
    -- Its first counted way in; its last counted passage was inwards.
    used_at INTEGER,
    inside INTEGER NOT NULL,
    -- Hash and number of its last leaf in the provenance log.
    leaf BLOB NOT NULL,
    leaves INTEGER NOT NULL,
    -- Number of the event's change that touched it last.
    changed INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;
CREATE INDEX tk_tickets_order ON tk_tickets (order_id, position);
CREATE INDEX tk_tickets_event ON tk_tickets (event_id, changed);
CREATE INDEX tk_tickets_type ON tk_tickets (type_id, status);
CREATE INDEX tk_tickets_owner ON tk_tickets (owner_person, id);
CREATE INDEX tk_tickets_account ON tk_tickets (owner_sub, id);
CREATE INDEX tk_tickets_holder ON tk_tickets (holder_person);

-- An offer to hand a ticket on. At most one is open.
CREATE TABLE tk_transfers (
    id TEXT PRIMARY KEY,
    ticket_id TEXT NOT NULL,
    event_id TEXT NOT NULL,
    token_digest BLOB NOT NULL UNIQUE,
    status TEXT NOT NULL,
    -- Sealed under the key of whoever is to get it.
    person_id TEXT NOT NULL,
    recipient_email BLOB NOT NULL,
    recipient_name BLOB,
    message BLOB,
    expires_at INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    ended_at INTEGER
) STRICT;
CREATE UNIQUE INDEX tk_transfers_open ON tk_transfers (ticket_id) WHERE status = 'pending';
CREATE INDEX tk_transfers_ticket ON tk_transfers (ticket_id, id);
CREATE INDEX tk_transfers_due ON tk_transfers (expires_at) WHERE status = 'pending';
CREATE INDEX tk_transfers_person ON tk_transfers (person_id);

-- Mails with tickets that are still to be written: of a whole order or of one ticket.
CREATE TABLE tk_ticket_mails (
    id TEXT PRIMARY KEY,
    event_id TEXT NOT NULL,
    order_id TEXT,
    ticket_id TEXT,
    kind TEXT NOT NULL,
    person_id TEXT NOT NULL,
    recipient BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    tries INTEGER NOT NULL DEFAULT 0,
    next_at INTEGER NOT NULL
) STRICT;
CREATE INDEX tk_ticket_mails_due ON tk_ticket_mails (next_at);
