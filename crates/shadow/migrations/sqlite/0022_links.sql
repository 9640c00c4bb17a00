-- Accounts of our own ledger as the shadowed side, each with its position in the ledger.
CREATE TABLE shadow_links (
    account_id     TEXT   NOT NULL,
    currency       TEXT   NOT NULL,
    ledger_account TEXT   NOT NULL,
    orientation    TEXT   NOT NULL,
    account_ref    TEXT,
    position       BIGINT NOT NULL,
    read_at        BIGINT NOT NULL,
    made_by        TEXT   NOT NULL,
    made_at        BIGINT NOT NULL,
    PRIMARY KEY (account_id, currency),
    UNIQUE (ledger_account)
);
