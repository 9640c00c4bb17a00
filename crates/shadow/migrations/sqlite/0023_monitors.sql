CREATE TABLE shadow_monitors (
    name            TEXT   PRIMARY KEY,
    kind            TEXT   NOT NULL,
    accounts        TEXT   NOT NULL,
    currency        TEXT,
    every_seconds   BIGINT NOT NULL,
    absolute        TEXT   NOT NULL,
    percent         BIGINT,
    sustain_seconds BIGINT NOT NULL,
    severity        TEXT   NOT NULL,
    set_by          TEXT   NOT NULL,
    set_at          BIGINT NOT NULL,
    looked_at       BIGINT,
    cursor          TEXT
) WITHOUT ROWID;

-- What is remembered between two looks; rows only where something is wrong.
CREATE TABLE shadow_monitor_memory (
    monitor    TEXT    NOT NULL,
    account_id TEXT    NOT NULL,
    currency   TEXT    NOT NULL,
    since      BIGINT  NOT NULL,
    alert_id   TEXT,
    PRIMARY KEY (monitor, account_id, currency)
) WITHOUT ROWID;

CREATE TABLE shadow_alerts (
    id              TEXT   PRIMARY KEY,
    monitor         TEXT   NOT NULL,
    kind            TEXT   NOT NULL,
    severity        TEXT   NOT NULL,
    account_id      TEXT,
    currency        TEXT,
    state           TEXT   NOT NULL,
    figures         TEXT   NOT NULL,
    raised_at       BIGINT NOT NULL,
    acknowledged_at BIGINT,
    acknowledged_by TEXT,
    cleared_at      BIGINT,
    made_seq        BIGINT NOT NULL
) WITHOUT ROWID;
CREATE INDEX shadow_alerts_made ON shadow_alerts (made_seq);
CREATE INDEX shadow_alerts_open ON shadow_alerts (kind, severity) WHERE state <> 'cleared';
