CREATE TABLE tk_payouts (
    id TEXT PRIMARY KEY,
    org_id TEXT NOT NULL,
    currency TEXT NOT NULL,
    amount INTEGER NOT NULL,
    status TEXT NOT NULL,
    -- {kind, walletId} or {kind, label}, as it was when the payout was made.
    method TEXT NOT NULL,
    lines TEXT NOT NULL,
    reference TEXT,
    hold_reason TEXT,
    failure TEXT,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;
CREATE INDEX tk_payouts_org ON tk_payouts (org_id, id);

-- One row for each day on which payouts of all organisations were begun.
CREATE TABLE tk_payout_days (
    day INTEGER NOT NULL PRIMARY KEY,
    done_at INTEGER NOT NULL
) STRICT;
