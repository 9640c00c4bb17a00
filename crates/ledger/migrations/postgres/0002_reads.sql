-- Signed checkpoints, for ever: each is made by one replica and shown by all.
CREATE TABLE checkpoints (
    number    bigint PRIMARY KEY,
    tree_size bigint NOT NULL,
    batch     bigint NOT NULL,
    -- The checkpoint as it is shown, JSON.
    body      text   NOT NULL
);
CREATE INDEX checkpoints_tree_size ON checkpoints (tree_size);

-- Every key that signs or signed checkpoints, in the order of their use, from 1; the last one
-- without `valid_until` is in use.
CREATE TABLE checkpoint_keys (
    no          integer PRIMARY KEY,
    -- C2SP verifier key.
    key         text   NOT NULL,
    -- The secret (32 bytes) of a key that was generated; NULL when configuration holds it.
    seed        bytea,
    valid_from  bigint NOT NULL,
    valid_until bigint
);

-- What was recorded late is looked for by when it was recorded, too.
CREATE INDEX backdated_seq ON backdated (slot, seq);

-- A ledger is being moved here and not all of it has come: nobody opens it until this row is gone.
CREATE TABLE unfinished (
    one boolean PRIMARY KEY DEFAULT true CHECK (one)
);
