-- Which accounts a user or key reaches in rooms that know such a scope: a JSON list of ids,
-- prefixes with `*`, or `*`; NULL where nothing was said (shadow-ledger contract, section E).
ALTER TABLE users ADD COLUMN accounts TEXT;
ALTER TABLE api_keys ADD COLUMN accounts TEXT;
