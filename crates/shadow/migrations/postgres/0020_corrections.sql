-- Corrections as they stand; each step of their lives is a record of the log.
CREATE TABLE shadow_corrections (
    id          TEXT COLLATE "C"    PRIMARY KEY,
    account_id  TEXT COLLATE "C"    NOT NULL,
    currency    TEXT COLLATE "C"    NOT NULL,
    m0          BIGINT  NOT NULL,
    m1          BIGINT  NOT NULL,
    m2          BIGINT  NOT NULL,
    ts          BIGINT  NOT NULL,
    kind        TEXT COLLATE "C"    NOT NULL,
    status      TEXT COLLATE "C"    NOT NULL,
    reason      TEXT COLLATE "C"    NOT NULL,
    proposed_by TEXT COLLATE "C"    NOT NULL,
    approved_by TEXT COLLATE "C",
    door        TEXT COLLATE "C"    NOT NULL,
    cause       TEXT COLLATE "C",
    check_id    TEXT COLLATE "C",
    line_id     TEXT COLLATE "C",
    partner     TEXT COLLATE "C",
    target      TEXT COLLATE "C",
    transfer_id TEXT COLLATE "C",
    request     TEXT COLLATE "C",
    trace_id    TEXT COLLATE "C",
    proposed_at BIGINT  NOT NULL,
    decided_at  BIGINT,
    applied_at  BIGINT,
    auto_day    BIGINT,
    made_seq    BIGINT  NOT NULL,
    log_seq     BIGINT  NOT NULL
);
CREATE INDEX shadow_corrections_made ON shadow_corrections (made_seq);
CREATE INDEX shadow_corrections_book ON shadow_corrections (account_id, currency, made_seq);
CREATE INDEX shadow_corrections_open ON shadow_corrections (account_id, currency)
    WHERE status IN ('proposed', 'approved');
CREATE INDEX shadow_corrections_due ON shadow_corrections (proposed_at)
    WHERE status = 'proposed';
CREATE INDEX shadow_corrections_auto ON shadow_corrections (account_id, currency, auto_day)
    WHERE auto_day IS NOT NULL;
CREATE INDEX shadow_corrections_target ON shadow_corrections (target) WHERE target IS NOT NULL;
CREATE INDEX shadow_corrections_transfer ON shadow_corrections (transfer_id)
    WHERE transfer_id IS NOT NULL;
CREATE INDEX shadow_corrections_cause ON shadow_corrections (cause) WHERE cause IS NOT NULL;
CREATE INDEX shadow_corrections_check ON shadow_corrections (check_id) WHERE check_id IS NOT NULL;
