CREATE TABLE tk_orgs (
    id                TEXT    NOT NULL PRIMARY KEY,
    slug              TEXT    NOT NULL UNIQUE,
    name              TEXT    NOT NULL,
    legal_name        TEXT    NOT NULL,
    country           TEXT    NOT NULL,
    currency          TEXT    NOT NULL,
    contact_email     TEXT    NOT NULL,
    tax_id            TEXT,
    fee_payer         TEXT    NOT NULL,
    tax_remitter      TEXT    NOT NULL,
    payout_kind       TEXT,
    payout_target     TEXT,
    payout_delay_days BIGINT  NOT NULL,
    status            TEXT    NOT NULL,
    verified          BOOLEAN NOT NULL,
    version           BIGINT  NOT NULL,
    created_at        BIGINT  NOT NULL,
    updated_at        BIGINT  NOT NULL
);

-- `subject` is the subject of the member's credentials; `by_mail`: it was given as an e-mail.
CREATE TABLE tk_members (
    id         TEXT    NOT NULL PRIMARY KEY,
    org_id     TEXT    NOT NULL,
    subject    TEXT    NOT NULL,
    by_mail    BOOLEAN NOT NULL,
    role       TEXT    NOT NULL,
    event_ids  TEXT,
    created_at BIGINT  NOT NULL
);
CREATE UNIQUE INDEX tk_members_once ON tk_members (org_id, subject, role);
CREATE INDEX tk_members_subject ON tk_members (subject);

-- Instants are microseconds, places millionths of a degree.
CREATE TABLE tk_events (
    id                  TEXT    NOT NULL PRIMARY KEY,
    org_id              TEXT    NOT NULL,
    slug                TEXT    NOT NULL UNIQUE,
    title               TEXT    NOT NULL,
    summary             TEXT    NOT NULL,
    description         TEXT    NOT NULL,
    category            TEXT,
    tags                TEXT    NOT NULL,
    format              TEXT    NOT NULL,
    visibility          TEXT    NOT NULL,
    access_key          TEXT,
    starts_at           BIGINT,
    ends_at             BIGINT,
    time_zone           TEXT    NOT NULL,
    venue               TEXT,
    lat                 BIGINT,
    lng                 BIGINT,
    online_url          TEXT,
    currency            TEXT    NOT NULL,
    hold_seconds        BIGINT  NOT NULL,
    fee_payer           TEXT    NOT NULL,
    reentry             BOOLEAN NOT NULL,
    check_in_opens_at   BIGINT,
    check_in_closes_at  BIGINT,
    sales_paused        BOOLEAN NOT NULL,
    refund_policy       TEXT,
    max_per_buyer       BIGINT,
    image_ids           TEXT    NOT NULL,
    status              TEXT    NOT NULL,
    status_reason       TEXT,
    refund_until        BIGINT,
    version             BIGINT  NOT NULL,
    created_at          BIGINT  NOT NULL,
    updated_at          BIGINT  NOT NULL,
    published_at        BIGINT,
    next_type_no        BIGINT  NOT NULL
);
CREATE INDEX tk_events_org ON tk_events (org_id, created_at, id);
CREATE INDEX tk_events_due ON tk_events (ends_at)
    WHERE status IN ('published', 'sold_out', 'postponed');

-- Counters are units. held_ever = held + converted + released (INV-T3).
CREATE TABLE tk_types (
    id                 TEXT    NOT NULL PRIMARY KEY,
    event_id           TEXT    NOT NULL,
    type_no            BIGINT  NOT NULL,
    name               TEXT    NOT NULL,
    description        TEXT    NOT NULL,
    position           BIGINT  NOT NULL,
    hidden             BOOLEAN NOT NULL,
    price              BIGINT  NOT NULL,
    quantity           BIGINT,
    sale_starts_at     BIGINT,
    sale_ends_at       BIGINT,
    min_per_order      BIGINT  NOT NULL,
    max_per_order      BIGINT  NOT NULL,
    max_per_buyer      BIGINT,
    transferable       BOOLEAN NOT NULL,
    refundable_until   BIGINT,
    tax_rate_bp        BIGINT  NOT NULL,
    price_includes_tax BOOLEAN NOT NULL,
    valid_from         BIGINT,
    valid_until        BIGINT,
    areas              BIGINT,
    attendee_fields    TEXT    NOT NULL,
    questions          TEXT    NOT NULL,
    sold               BIGINT  NOT NULL DEFAULT 0,
    held               BIGINT  NOT NULL DEFAULT 0,
    held_ever          BIGINT  NOT NULL DEFAULT 0,
    converted          BIGINT  NOT NULL DEFAULT 0,
    released           BIGINT  NOT NULL DEFAULT 0,
    version            BIGINT  NOT NULL,
    created_at         BIGINT  NOT NULL,
    updated_at         BIGINT  NOT NULL,
    CHECK (sold >= 0 AND held >= 0),
    CHECK (quantity IS NULL OR sold + held <= quantity)
);
CREATE UNIQUE INDEX tk_types_no ON tk_types (event_id, type_no);

-- `whole_event`: the hard limit of the event, a pool that contains every type.
CREATE TABLE tk_pools (
    id          TEXT    NOT NULL PRIMARY KEY,
    event_id    TEXT    NOT NULL,
    name        TEXT    NOT NULL,
    capacity    BIGINT  NOT NULL,
    whole_event BOOLEAN NOT NULL,
    sold        BIGINT  NOT NULL DEFAULT 0,
    held        BIGINT  NOT NULL DEFAULT 0,
    created_at  BIGINT  NOT NULL,
    CHECK (sold >= 0 AND held >= 0),
    CHECK (sold + held <= capacity)
);
CREATE INDEX tk_pools_event ON tk_pools (event_id);

CREATE TABLE tk_type_pools (
    type_id TEXT NOT NULL,
    pool_id TEXT NOT NULL,
    PRIMARY KEY (type_id, pool_id)
);
CREATE INDEX tk_type_pools_pool ON tk_type_pools (pool_id);

CREATE TABLE tk_promos (
    id                 TEXT   NOT NULL PRIMARY KEY,
    event_id           TEXT   NOT NULL,
    code               TEXT   NOT NULL,
    kind               TEXT   NOT NULL,
    bp                 BIGINT,
    amount             BIGINT,
    type_ids           TEXT,
    valid_from         BIGINT,
    valid_until        BIGINT,
    max_uses           BIGINT,
    max_uses_per_buyer BIGINT,
    min_order_amount   BIGINT,
    uses               BIGINT NOT NULL DEFAULT 0,
    created_at         BIGINT NOT NULL,
    CHECK (uses >= 0 AND (max_uses IS NULL OR uses <= max_uses))
);
CREATE UNIQUE INDEX tk_promos_code ON tk_promos (event_id, code);

CREATE TABLE tk_images (
    id           TEXT   NOT NULL PRIMARY KEY,
    event_id     TEXT   NOT NULL,
    status       TEXT   NOT NULL,
    reason       TEXT,
    content_type TEXT   NOT NULL,
    size_bytes   BIGINT NOT NULL,
    alt_text     TEXT   NOT NULL,
    blob_key     TEXT   NOT NULL,
    created_at   BIGINT NOT NULL
);
CREATE INDEX tk_images_event ON tk_images (event_id, created_at, id);
