-- Users, log-in sessions, API keys and what was cut off (contracts/README.md, "identity routes").
CREATE TABLE users (
    id           TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    user_name    TEXT COLLATE "C" NOT NULL UNIQUE,
    display_name TEXT COLLATE "C",
    password     TEXT COLLATE "C",
    roles        TEXT COLLATE "C" NOT NULL,
    disabled     BOOLEAN          NOT NULL,
    epoch        BIGINT           NOT NULL,
    created_at   BIGINT           NOT NULL,
    updated_at   BIGINT           NOT NULL
);

-- One row per log-in: the family of its refresh tokens.
CREATE TABLE sessions (
    id         TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    user_id    TEXT COLLATE "C" NOT NULL REFERENCES users (id),
    created_at BIGINT           NOT NULL,
    expires_at BIGINT           NOT NULL,
    revoked_at BIGINT
);

CREATE INDEX sessions_user ON sessions (user_id);
CREATE INDEX sessions_expiry ON sessions (expires_at);

CREATE TABLE refresh_tokens (
    hash       BYTEA            NOT NULL PRIMARY KEY,
    session_id TEXT COLLATE "C" NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
    expires_at BIGINT           NOT NULL,
    used_at    BIGINT
);

CREATE INDEX refresh_tokens_session ON refresh_tokens (session_id);

CREATE TABLE api_keys (
    id          TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    name        TEXT COLLATE "C" NOT NULL,
    user_id     TEXT COLLATE "C" REFERENCES users (id),
    secret_hash BYTEA            NOT NULL,
    roles       TEXT COLLATE "C" NOT NULL,
    scopes      TEXT COLLATE "C",
    created_by  TEXT COLLATE "C" NOT NULL,
    created_at  BIGINT           NOT NULL,
    expires_at  BIGINT,
    revoked_at  BIGINT
);

CREATE INDEX api_keys_user ON api_keys (user_id);

-- What every process must forget at once: credentials of a user, a session or a key that were
-- made before `min_epoch`. A row is needed until nothing made before it can still be accepted.
-- Readers ask for what lies behind the last `seq` they saw: writers must take turns, or a smaller
-- number could appear after a larger one.
CREATE TABLE revocations (
    seq       BIGINT           NOT NULL PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    scope     TEXT COLLATE "C" NOT NULL,
    min_epoch BIGINT           NOT NULL,
    until     BIGINT           NOT NULL
);

-- Answers to creating calls, kept with their effect (contracts/README.md, "idempotency").
CREATE TABLE identity_replies (
    actor      TEXT COLLATE "C" NOT NULL,
    key        TEXT COLLATE "C" NOT NULL,
    request    TEXT COLLATE "C" NOT NULL,
    object_id  TEXT COLLATE "C" NOT NULL,
    created_at BIGINT           NOT NULL,
    PRIMARY KEY (actor, key)
);
