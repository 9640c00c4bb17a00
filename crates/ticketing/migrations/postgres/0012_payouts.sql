CREATE TABLE tk_payouts (
    id TEXT COLLATE "C" PRIMARY KEY,
    org_id TEXT COLLATE "C" NOT NULL,
    currency TEXT COLLATE "C" NOT NULL,
    amount BIGINT NOT NULL,
    status TEXT COLLATE "C" NOT NULL,
    -- {kind, walletId} or {kind, label}, as it was when the payout was made.
    method TEXT COLLATE "C" NOT NULL,
    lines TEXT COLLATE "C" NOT NULL,
    reference TEXT COLLATE "C",
    hold_reason TEXT COLLATE "C",
    failure TEXT COLLATE "C",
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE INDEX tk_payouts_org ON tk_payouts (org_id, id);

-- One row for each day on which payouts of all organisations were begun.
CREATE TABLE tk_payout_days (
    day BIGINT NOT NULL PRIMARY KEY,
    done_at BIGINT NOT NULL
);
