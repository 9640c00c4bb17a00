-- Users, log-in sessions, API keys and what was cut off (contracts/README.md, "identity routes").
CREATE TABLE users (
    id           TEXT    NOT NULL PRIMARY KEY,
    user_name    TEXT    NOT NULL UNIQUE,
    display_name TEXT,
    password     TEXT,
    roles        TEXT    NOT NULL,
    disabled     INTEGER NOT NULL,
    epoch        INTEGER  NOT NULL,
    created_at   INTEGER  NOT NULL,
    updated_at   INTEGER  NOT NULL
) STRICT;

-- One row per log-in: the family of its refresh tokens.
CREATE TABLE sessions (
    id         TEXT   NOT NULL PRIMARY KEY,
    user_id    TEXT   NOT NULL REFERENCES users (id),
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    revoked_at INTEGER
) STRICT;

CREATE INDEX sessions_user ON sessions (user_id);
CREATE INDEX sessions_expiry ON sessions (expires_at);

CREATE TABLE refresh_tokens (
    hash       BLOB   NOT NULL PRIMARY KEY,
    session_id TEXT   NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
    expires_at INTEGER NOT NULL,
    used_at    INTEGER
) STRICT;

CREATE INDEX refresh_tokens_session ON refresh_tokens (session_id);

CREATE TABLE api_keys (
    id          TEXT   NOT NULL PRIMARY KEY,
    name        TEXT   NOT NULL,
    user_id     TEXT   REFERENCES users (id),
    secret_hash BLOB   NOT NULL,
    roles       TEXT   NOT NULL,
    scopes      TEXT,
    created_by  TEXT   NOT NULL,
    created_at  INTEGER NOT NULL,
    expires_at  INTEGER,
    revoked_at  INTEGER
) STRICT;

CREATE INDEX api_keys_user ON api_keys (user_id);

-- What every process must forget at once: credentials of a user, a session or a key that were
-- made before `min_epoch`. A row is needed until nothing made before it can still be accepted.
CREATE TABLE revocations (
    seq       INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    scope     TEXT    NOT NULL,
    min_epoch INTEGER  NOT NULL,
    until     INTEGER  NOT NULL
) STRICT;

-- Answers to creating calls, kept with their effect (contracts/README.md, "idempotency").
CREATE TABLE identity_replies (
    actor      TEXT   NOT NULL,
    key        TEXT   NOT NULL,
    request    TEXT   NOT NULL,
    object_id  TEXT   NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (actor, key)
) STRICT;
