-- Corrections as they stand; each step of their lives is a record of the log.
CREATE TABLE shadow_corrections (
    id          TEXT    PRIMARY KEY,
    account_id  TEXT    NOT NULL,
    currency    TEXT    NOT NULL,
    m0          BIGINT  NOT NULL,
    m1          BIGINT  NOT NULL,
    m2          BIGINT  NOT NULL,
    ts          BIGINT  NOT NULL,
    kind        TEXT    NOT NULL,
    status      TEXT    NOT NULL,
    reason      TEXT    NOT NULL,
    proposed_by TEXT    NOT NULL,
    approved_by TEXT,
    door        TEXT    NOT NULL,
    cause       TEXT,
    check_id    TEXT,
    line_id     TEXT,
    partner     TEXT,
    target      TEXT,
    transfer_id TEXT,
    request     TEXT,
    trace_id    TEXT,
    proposed_at BIGINT  NOT NULL,
    decided_at  BIGINT,
    applied_at  BIGINT,
    auto_day    BIGINT,
    made_seq    BIGINT  NOT NULL,
    log_seq     BIGINT  NOT NULL
) WITHOUT ROWID;
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
