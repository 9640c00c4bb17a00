-- One ledger in one schema. Every statement is written without a schema name: a connection has
-- the ledger's schema as its search_path.
--
-- Conventions.
--   * Times are microseconds since 1970 (bigint). `seq`, batch and note numbers start at 1.
--   * `slot` is the ordinal of an account in order of creation, from 0 (model::Slot).
--   * Bytes named "entry" or "entries" are those of record::codec: for each record or note its
--     length (4 bytes), a distance (4 bytes, without meaning here) and its body.
--   * An unsigned 64-bit number is kept as the bigint with the same bits.
--   * Text that callers choose freely is kept as bytes of UTF-8, because PostgreSQL's text cannot
--     hold every character.
-- No foreign keys: rows are written by the engine only, in one transaction with the head.

-- The one row that every commit locks first: total order, gap-free numbers, the hash chain.
CREATE TABLE head (
    one          boolean  PRIMARY KEY DEFAULT true CHECK (one),
    ledger_id    uuid     NOT NULL,
    -- Key of the hash that spreads identities (16 bytes); see `ids`.
    identity_key bytea    NOT NULL,
    -- Last record, last commit with records, last note, count of accounts, count of assets.
    seq          bigint   NOT NULL DEFAULT 0,
    batch        bigint   NOT NULL DEFAULT 0,
    note         bigint   NOT NULL DEFAULT 0,
    accounts     bigint   NOT NULL DEFAULT 0,
    assets       integer  NOT NULL DEFAULT 0,
    -- Ledger time of the last commit with records or notes.
    recorded_at  bigint   NOT NULL DEFAULT 0,
    -- No later commit gets a time at or below this one; above `recorded_at` after a read of the
    -- ledger's time.
    settled_at   bigint   NOT NULL DEFAULT 0,
    -- Hash chain after `batch`, and the right edge of the Merkle tree over `seq` records
    -- (proof::Frontier::to_bytes).
    chain        bytea    NOT NULL,
    frontier     bytea    NOT NULL
) WITH (fillfactor = 10, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_scale_factor = 0);

-- One row for each running replica: the number of its last attempt that was committed. After a
-- connection was lost in a commit, the replica locks the head and reads here what became of it.
CREATE TABLE writers (
    writer  uuid   PRIMARY KEY,
    attempt bigint NOT NULL,
    at      bigint NOT NULL
) WITH (fillfactor = 10, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_scale_factor = 0);

-- Assets in order of creation, `no` from 0. `body` is record::codec's form of the whole asset.
CREATE TABLE assets (
    no   smallint PRIMARY KEY,
    code text     NOT NULL UNIQUE,
    body bytea    NOT NULL
);

-- What never or rarely changes about an account, and the wallet behind it. Its id is `wallet`
-- (florin:wallet:{uuid}) or else `name`.
CREATE TABLE accounts (
    slot        integer  PRIMARY KEY,
    wallet      uuid,
    name        text     COLLATE "C",
    asset       smallint NOT NULL,
    -- Numbers of model::AccountKind, Side and Status.
    kind        smallint NOT NULL,
    normal      smallint NOT NULL,
    status      smallint NOT NULL,
    version     integer  NOT NULL,
    created_seq bigint   NOT NULL,
    created_at  bigint   NOT NULL,
    -- record::codec's floor; NULL = zero.
    floor       bytea,
    -- record::codec's metadata of the account; NULL = none.
    metadata    bytea,
    -- For wallets: owner (user id), tier, own limits (record::wallets; NULL = the tier's), shown
    -- name, metadata of the wallet, time of the last change.
    owner       bytea,
    tier        bytea,
    limits      bytea,
    label       bytea,
    wallet_metadata bytea,
    updated_at  bigint
);
CREATE UNIQUE INDEX accounts_wallet ON accounts (wallet) WHERE wallet IS NOT NULL;
CREATE UNIQUE INDEX accounts_name ON accounts (name) WHERE name IS NOT NULL;
CREATE INDEX accounts_owner ON accounts (owner, slot) WHERE owner IS NOT NULL;

-- What changes with every posting: one row for each account, of nearly fixed width, so that an
-- update stays in its page (HOT). No column that changes is indexed.
CREATE TABLE balances (
    slot     integer PRIMARY KEY,
    -- Low 64 bits of the four totals: posted debits and credits, reserved debits and credits.
    dp       bigint  NOT NULL,
    cp       bigint  NOT NULL,
    dr       bigint  NOT NULL,
    cr       bigint  NOT NULL,
    postings bigint  NOT NULL,
    events   bigint  NOT NULL,
    -- `seq` of the newest records that touched the account, 8 bytes little-endian each,
    -- ascending; older ones are in `entries`.
    tail     bytea   NOT NULL,
    -- Little-endian high 64 bits of dp, cp, dr, cr (32 bytes); NULL = all zero.
    high     bytea,
    -- Use of limits of a wallet (postgres::rows::put_windows); NULL = none.
    windows  bytea,
    -- Bytes that a new row is born with and its first update drops: they leave room in the page
    -- for later versions. (A low fillfactor would do that too, but PostgreSQL then prunes the
    -- page at almost every update instead of every twentieth.)
    room     bytea
) WITH (fillfactor = 90, autovacuum_vacuum_scale_factor = 0.2);
ALTER TABLE balances ALTER COLUMN room SET STORAGE PLAIN;
ALTER TABLE balances ALTER COLUMN tail SET STORAGE PLAIN;
ALTER TABLE balances ALTER COLUMN high SET STORAGE PLAIN;
ALTER TABLE balances ALTER COLUMN windows SET STORAGE PLAIN;

-- History of accounts: the numbers of their records beyond the newest few (`balances.tail`), in
-- pages of 8 bytes little-endian each, ascending, beginning with `first_seq`. What a record did
-- and the totals after it stand in the record. A page is written for every 17th record of an
-- account or later, so that history costs no row per entry.
CREATE TABLE entries (
    slot      integer NOT NULL,
    first_seq bigint  NOT NULL,
    seqs      bytea   NOT NULL,
    PRIMARY KEY (slot, first_seq)
);

-- Entries that do not count at the time they were recorded: what they changed
-- (engine::store::Delta), by effective time.
CREATE TABLE backdated (
    slot         integer NOT NULL,
    effective_at bigint  NOT NULL,
    seq          bigint  NOT NULL,
    delta        bytea   NOT NULL,
    PRIMARY KEY (slot, effective_at, seq)
);

-- The records: chunks of consecutive records of one commit, at most about 8,000 bytes (a page)
-- unless a single record is larger. Partitioned by month of ledger time.
CREATE TABLE journal (
    first_seq   bigint  NOT NULL,
    recorded_at bigint  NOT NULL,
    batch       bigint  NOT NULL,
    records     integer NOT NULL,
    entries     bytea   NOT NULL,
    PRIMARY KEY (first_seq, recorded_at)
) PARTITION BY RANGE (recorded_at);
ALTER TABLE journal ALTER COLUMN entries SET STORAGE EXTERNAL;
CREATE TABLE journal_default PARTITION OF journal DEFAULT WITH (toast_tuple_target = 8160);
ALTER TABLE journal_default ALTER COLUMN entries SET STORAGE EXTERNAL;

-- Commits with records, for ever: where they start, their time and the hash chain after them.
-- The way from a `seq` to its chunk: the last batch with first_seq <= seq gives `recorded_at`,
-- which names the partition of `journal`.
CREATE TABLE batches (
    batch       bigint PRIMARY KEY,
    first_seq   bigint NOT NULL,
    recorded_at bigint NOT NULL,
    chain       bytea  NOT NULL
);
CREATE UNIQUE INDEX batches_first_seq ON batches (first_seq) INCLUDE (recorded_at);
CREATE INDEX batches_recorded_at ON batches (recorded_at);

-- Nodes of the Merkle tree over 256 leaves each, from 0.
CREATE TABLE tree (
    node bigint PRIMARY KEY,
    hash bytea  NOT NULL
);

-- Notes (remembered answers and refusals, rules::book::Note), in chunks like `journal`.
CREATE TABLE notes (
    first_note  bigint  PRIMARY KEY,
    notes       integer NOT NULL,
    recorded_at bigint  NOT NULL,
    entries     bytea   NOT NULL
);

-- Identities, for ever: what a transfer id, a reference, an idempotency key … stands for. The
-- key of a transfer id that is a UUIDv7 is that UUID, which keeps inserts at the right edge of
-- the index; every other key is a keyed hash whose version digit is 14, so that the two never
-- meet. `known` = 4 × number + kind: 0 a record's seq, 1 a result code, 2 a note's number.
CREATE TABLE ids (
    key   uuid   PRIMARY KEY,
    known bigint NOT NULL
);

-- Open reservations by the key of their transfer id. `entry` is the record's entry in `journal`.
CREATE TABLE pendings (
    key         uuid    PRIMARY KEY,
    seq         bigint  NOT NULL,
    batch       bigint  NOT NULL,
    recorded_at bigint  NOT NULL,
    expires_at  bigint,
    debit       integer NOT NULL,
    credit      integer NOT NULL,
    entry       bytea   NOT NULL
);
CREATE INDEX pendings_due ON pendings (expires_at, seq) WHERE expires_at IS NOT NULL;

-- Partitions of `journal` that were exported and detached; their records are in `file`.
CREATE TABLE archives (
    first_seq   bigint PRIMARY KEY,
    last_seq    bigint NOT NULL,
    first_batch bigint NOT NULL,
    last_batch  bigint NOT NULL,
    from_at     bigint NOT NULL,
    to_at       bigint NOT NULL,
    file        text   NOT NULL,
    sha256      bytea  NOT NULL
);

-- Everything that nearly every commit writes, in one call. The caller holds the head row, which
-- must still be at `before_seq`.
CREATE FUNCTION commit_batch(
    a_writer uuid, a_attempt bigint, a_channel text, before_seq bigint,
    a_seq bigint, a_batch bigint, a_note bigint, a_accounts bigint, a_assets integer,
    a_recorded_at bigint, a_chain bytea, a_frontier bytea,
    j_first bigint[], j_records integer[], j_entries bytea[],
    n_first bigint[], n_notes integer[], n_entries bytea[],
    t_node bigint[], t_hash bytea[],
    i_key uuid[], i_known bigint[], i_replace boolean,
    b_slot integer[], b_dp bigint[], b_cp bigint[], b_dr bigint[], b_cr bigint[],
    b_postings bigint[], b_events bigint[], b_tail bytea[], b_high bytea[], b_windows bytea[],
    e_slot integer[], e_first bigint[], e_seqs bytea[]
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    written bigint;
BEGIN
    UPDATE head SET seq = a_seq, batch = a_batch, note = a_note, accounts = a_accounts, assets = a_assets,
        recorded_at = a_recorded_at, settled_at = a_recorded_at, chain = a_chain, frontier = a_frontier
        WHERE one AND seq = before_seq;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'the head is not at %', before_seq;
    END IF;
    INSERT INTO writers VALUES (a_writer, a_attempt, a_recorded_at)
        ON CONFLICT (writer) DO UPDATE SET attempt = EXCLUDED.attempt, at = EXCLUDED.at;
    IF cardinality(b_slot) > 0 THEN
        UPDATE balances b SET dp = u.dp, cp = u.cp, dr = u.dr, cr = u.cr, postings = u.postings,
            events = u.events, tail = u.tail, high = u.high, windows = u.windows, room = NULL
            FROM unnest(b_slot, b_dp, b_cp, b_dr, b_cr, b_postings, b_events, b_tail, b_high, b_windows)
                AS u (slot, dp, cp, dr, cr, postings, events, tail, high, windows)
            WHERE b.slot = u.slot;
        GET DIAGNOSTICS written = ROW_COUNT;
        IF written <> cardinality(b_slot) THEN
            RAISE EXCEPTION '% of % balances exist', written, cardinality(b_slot);
        END IF;
    END IF;
    IF cardinality(i_key) > 0 THEN
        -- A batch that took its identities for new fails here when one is not.
        IF i_replace THEN
            INSERT INTO ids SELECT * FROM unnest(i_key, i_known)
                ON CONFLICT (key) DO UPDATE SET known = EXCLUDED.known;
        ELSE
            INSERT INTO ids SELECT * FROM unnest(i_key, i_known);
        END IF;
    END IF;
    IF cardinality(j_first) > 0 THEN
        INSERT INTO journal SELECT u.first_seq, a_recorded_at, a_batch, u.records, u.entries
            FROM unnest(j_first, j_records, j_entries) AS u (first_seq, records, entries);
        INSERT INTO batches VALUES (a_batch, before_seq + 1, a_recorded_at, a_chain);
        PERFORM pg_notify(a_channel, a_seq::text);
    END IF;
    IF cardinality(t_node) > 0 THEN
        INSERT INTO tree SELECT * FROM unnest(t_node, t_hash);
    END IF;
    IF cardinality(n_first) > 0 THEN
        INSERT INTO notes SELECT u.first_note, u.notes, a_recorded_at, u.entries
            FROM unnest(n_first, n_notes, n_entries) AS u (first_note, notes, entries);
    END IF;
    IF cardinality(e_slot) > 0 THEN
        INSERT INTO entries SELECT * FROM unnest(e_slot, e_first, e_seqs);
    END IF;
END
$$;
