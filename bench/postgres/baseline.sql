-- The plain way to keep balances in PostgreSQL, as a baseline: one PL/pgSQL call with two balance
-- updates in order of id (so that two transfers never deadlock) and one inserted row.
DROP SCHEMA IF EXISTS baseline CASCADE;
CREATE SCHEMA baseline;
SET search_path = baseline;
CREATE TABLE account (id integer PRIMARY KEY, balance bigint NOT NULL) WITH (fillfactor = 60);
CREATE TABLE transfer (
    id         uuid        PRIMARY KEY,
    debit      integer     NOT NULL,
    credit     integer     NOT NULL,
    amount     bigint      NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE FUNCTION transfer(key uuid, debit integer, credit integer, amount bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF debit < credit THEN
        UPDATE baseline.account SET balance = balance - amount WHERE id = debit;
        UPDATE baseline.account SET balance = balance + amount WHERE id = credit;
    ELSE
        UPDATE baseline.account SET balance = balance + amount WHERE id = credit;
        UPDATE baseline.account SET balance = balance - amount WHERE id = debit;
    END IF;
    INSERT INTO baseline.transfer (id, debit, credit, amount) VALUES (key, debit, credit, amount);
END
$$;
INSERT INTO account SELECT n, 0 FROM generate_series(1, :accounts) n;
VACUUM ANALYZE account;
