-- The process to which the others hand their calls, so that one commit carries the calls of all.
-- Whoever holds the ledger's advisory lock writes itself in here. The row only tells where to
-- connect: every process may write at any time, and the lock on the head decides. `token` lets a
-- caller in and is new with every term; whoever may read this table may post.
CREATE TABLE sequencer (
    one         boolean PRIMARY KEY DEFAULT true CHECK (one),
    term        bigint  NOT NULL,
    address     text,
    certificate bytea,
    token       bytea,
    since       bigint
);
INSERT INTO sequencer (term) VALUES (0);

-- Remembers, in the transaction that holds the head, the last call of each link that it decides: a
-- row of `writers` with the link's id. Whoever loses a link deletes its row, which waits for this
-- transaction or makes it fail: from then on every call of the link was decided or never will be.
CREATE FUNCTION note_links(a_links uuid[], a_numbers bigint[], a_at bigint) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    written bigint;
BEGIN
    UPDATE writers w SET attempt = greatest(w.attempt, u.number), at = a_at
        FROM (SELECT unnest(a_links) AS writer, unnest(a_numbers) AS number) u
        WHERE w.writer = u.writer;
    GET DIAGNOSTICS written = ROW_COUNT;
    IF written <> cardinality(a_links) THEN
        RAISE EXCEPTION 'a link was closed' USING ERRCODE = 'FL001';
    END IF;
END $$;
