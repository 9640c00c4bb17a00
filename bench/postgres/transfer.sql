-- One transfer between two accounts; pgbench passes :accounts (two for a hot pair).
\set debit random(1, :accounts)
\set credit 1 + (:debit + random(0, :accounts - 2)) % :accounts
\set amount random(1, 1000)
SELECT baseline.transfer(gen_random_uuid(), :debit, :credit, :amount);
