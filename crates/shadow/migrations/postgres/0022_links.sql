-- Accounts of our own ledger as the shadowed side, each with its position in the ledger.
CREATE TABLE shadow_links (
    account_id     TEXT COLLATE "C"   NOT NULL,
    currency       TEXT COLLATE "C"   NOT NULL,
    ledger_account TEXT COLLATE "C"   NOT NULL,
    orientation    TEXT COLLATE "C"   NOT NULL,
    account_ref    TEXT COLLATE "C",
    position       BIGINT NOT NULL,
    read_at        BIGINT NOT NULL,
    made_by        TEXT COLLATE "C"   NOT NULL,
    made_at        BIGINT NOT NULL,
    PRIMARY KEY (account_id, currency),
    UNIQUE (ledger_account)
);
