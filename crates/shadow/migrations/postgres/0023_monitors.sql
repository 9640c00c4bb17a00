CREATE TABLE shadow_monitors (
    name            TEXT COLLATE "C"   PRIMARY KEY,
    kind            TEXT COLLATE "C"   NOT NULL,
    accounts        TEXT COLLATE "C"   NOT NULL,
    currency        TEXT COLLATE "C",
    every_seconds   BIGINT NOT NULL,
    absolute        TEXT COLLATE "C"   NOT NULL,
    percent         BIGINT,
    sustain_seconds BIGINT NOT NULL,
    severity        TEXT COLLATE "C"   NOT NULL,
    set_by          TEXT COLLATE "C"   NOT NULL,
    set_at          BIGINT NOT NULL,
    looked_at       BIGINT,
    cursor          TEXT COLLATE "C"
);

-- What is remembered between two looks; rows only where something is wrong.
CREATE TABLE shadow_monitor_memory (
    monitor    TEXT COLLATE "C"    NOT NULL,
    account_id TEXT COLLATE "C"    NOT NULL,
    currency   TEXT COLLATE "C"    NOT NULL,
    since      BIGINT  NOT NULL,
    alert_id   TEXT COLLATE "C",
    PRIMARY KEY (monitor, account_id, currency)
);

CREATE TABLE shadow_alerts (
    id              TEXT COLLATE "C"   PRIMARY KEY,
    monitor         TEXT COLLATE "C"   NOT NULL,
    kind            TEXT COLLATE "C"   NOT NULL,
    severity        TEXT COLLATE "C"   NOT NULL,
    account_id      TEXT COLLATE "C",
    currency        TEXT COLLATE "C",
    state           TEXT COLLATE "C"   NOT NULL,
    figures         TEXT COLLATE "C"   NOT NULL,
    raised_at       BIGINT NOT NULL,
    acknowledged_at BIGINT,
    acknowledged_by TEXT COLLATE "C",
    cleared_at      BIGINT,
    made_seq        BIGINT NOT NULL
);
CREATE INDEX shadow_alerts_made ON shadow_alerts (made_seq);
CREATE INDEX shadow_alerts_open ON shadow_alerts (kind, severity) WHERE state <> 'cleared';
