CREATE TABLE tk_orgs (
    id                TEXT COLLATE "C"    NOT NULL PRIMARY KEY,
    slug              TEXT COLLATE "C"    NOT NULL UNIQUE,
    name              TEXT COLLATE "C"    NOT NULL,
    legal_name        TEXT COLLATE "C"    NOT NULL,
    country           TEXT COLLATE "C"    NOT NULL,
    currency          TEXT COLLATE "C"    NOT NULL,
    contact_email     TEXT COLLATE "C"    NOT NULL,
    tax_id            TEXT COLLATE "C",
    fee_payer         TEXT COLLATE "C"    NOT NULL,
    tax_remitter      TEXT COLLATE "C"    NOT NULL,
    payout_kind       TEXT COLLATE "C",
    payout_target     TEXT COLLATE "C",
    payout_delay_days BIGINT  NOT NULL,
    status            TEXT COLLATE "C"    NOT NULL,
    verified          BOOLEAN NOT NULL,
    version           BIGINT  NOT NULL,
    created_at        BIGINT  NOT NULL,
    updated_at        BIGINT  NOT NULL
);

-- `subject` is the subject of the member's credentials; `by_mail`: it was given as an e-mail.
CREATE TABLE tk_members (
    id         TEXT COLLATE "C"    NOT NULL PRIMARY KEY,
    org_id     TEXT COLLATE "C"    NOT NULL,
    subject    TEXT COLLATE "C"    NOT NULL,
    by_mail    BOOLEAN NOT NULL,
    role       TEXT COLLATE "C"    NOT NULL,
    event_ids  TEXT COLLATE "C",
    created_at BIGINT  NOT NULL
);
CREATE UNIQUE INDEX tk_members_once ON tk_members (org_id, subject, role);
CREATE INDEX tk_members_subject ON tk_members (subject);

-- Instants are microseconds, places millionths of a degree.
CREATE TABLE tk_events (
    id                  TEXT COLLATE "C"    NOT NULL PRIMARY KEY,
    org_id              TEXT COLLATE "C"    NOT NULL,
    slug                TEXT COLLATE "C"    NOT NULL UNIQUE,
    title               TEXT COLLATE "C"    NOT NULL,
    summary             TEXT COLLATE "C"    NOT NULL,
    description         TEXT COLLATE "C"    NOT NULL,
    category            TEXT COLLATE "C",
    tags                TEXT COLLATE "C"    NOT NULL,
    format              TEXT COLLATE "C"    NOT NULL,
    visibility          TEXT COLLATE "C"    NOT NULL,
    access_key          TEXT COLLATE "C",
    starts_at           BIGINT,
    ends_at             BIGINT,
    time_zone           TEXT COLLATE "C"    NOT NULL,
    venue               TEXT COLLATE "C",
    lat                 BIGINT,
    lng                 BIGINT,
    online_url          TEXT COLLATE "C",
    currency            TEXT COLLATE "C"    NOT NULL,
    hold_seconds        BIGINT  NOT NULL,
    fee_payer           TEXT COLLATE "C"    NOT NULL,
    reentry             BOOLEAN NOT NULL,
    check_in_opens_at   BIGINT,
    check_in_closes_at  BIGINT,
    sales_paused        BOOLEAN NOT NULL,
    refund_policy       TEXT COLLATE "C",
    max_per_buyer       BIGINT,
    image_ids           TEXT COLLATE "C"    NOT NULL,
    status              TEXT COLLATE "C"    NOT NULL,
    status_reason       TEXT COLLATE "C",
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
    id                 TEXT COLLATE "C"    NOT NULL PRIMARY KEY,
    event_id           TEXT COLLATE "C"    NOT NULL,
    type_no            BIGINT  NOT NULL,
    name               TEXT COLLATE "C"    NOT NULL,
    description        TEXT COLLATE "C"    NOT NULL,
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
    attendee_fields    TEXT COLLATE "C"    NOT NULL,
    questions          TEXT COLLATE "C"    NOT NULL,
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
    id          TEXT COLLATE "C"    NOT NULL PRIMARY KEY,
    event_id    TEXT COLLATE "C"    NOT NULL,
    name        TEXT COLLATE "C"    NOT NULL,
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
    type_id TEXT COLLATE "C" NOT NULL,
    pool_id TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (type_id, pool_id)
);
CREATE INDEX tk_type_pools_pool ON tk_type_pools (pool_id);

CREATE TABLE tk_promos (
    id                 TEXT COLLATE "C"   NOT NULL PRIMARY KEY,
    event_id           TEXT COLLATE "C"   NOT NULL,
    code               TEXT COLLATE "C"   NOT NULL,
    kind               TEXT COLLATE "C"   NOT NULL,
    bp                 BIGINT,
    amount             BIGINT,
    type_ids           TEXT COLLATE "C",
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
    id           TEXT COLLATE "C"   NOT NULL PRIMARY KEY,
    event_id     TEXT COLLATE "C"   NOT NULL,
    status       TEXT COLLATE "C"   NOT NULL,
    reason       TEXT COLLATE "C",
    content_type TEXT COLLATE "C"   NOT NULL,
    size_bytes   BIGINT NOT NULL,
    alt_text     TEXT COLLATE "C"   NOT NULL,
    blob_key     TEXT COLLATE "C"   NOT NULL,
    created_at   BIGINT NOT NULL
);
CREATE INDEX tk_images_event ON tk_images (event_id, created_at, id);
