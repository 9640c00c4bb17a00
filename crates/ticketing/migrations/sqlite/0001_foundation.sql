-- One key per person, sealed under the installation's key. Destroying `sealed_key` erases every
-- field that was sealed under it; `lookup` is a keyed digest of the buyer key, null once erased.
CREATE TABLE tk_people (
    id TEXT NOT NULL PRIMARY KEY,
    lookup BLOB UNIQUE,
    sealed_key BLOB,
    created_at BIGINT NOT NULL,
    erased_at BIGINT
);

-- First answers under an `Idempotency-Key`.
CREATE TABLE tk_idempotency (
    scope TEXT NOT NULL,
    key TEXT NOT NULL,
    members TEXT NOT NULL,
    status BIGINT NOT NULL,
    location TEXT,
    person_id TEXT,
    body BLOB NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (scope, key)
);

-- What organisers are to be told, in order, until it was handed to the webhooks.
CREATE TABLE tk_outbox (
    id TEXT NOT NULL PRIMARY KEY,
    org_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    data TEXT NOT NULL,
    created_at BIGINT NOT NULL
);

-- Mails to be sent and, in the development sink, sent. Everything personal is sealed.
CREATE TABLE tk_mails (
    id TEXT NOT NULL PRIMARY KEY,
    person_id TEXT NOT NULL,
    recipient BLOB NOT NULL,
    kind TEXT NOT NULL,
    content BLOB NOT NULL,
    created_at BIGINT NOT NULL,
    tries BIGINT NOT NULL DEFAULT 0,
    next_at BIGINT NOT NULL,
    sent_at BIGINT,
    failed TEXT
);
CREATE INDEX tk_mails_due ON tk_mails (next_at) WHERE sent_at IS NULL AND failed IS NULL;
CREATE INDEX tk_mails_person ON tk_mails (person_id);
