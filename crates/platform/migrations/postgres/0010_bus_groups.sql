-- Who publishes a topic of the feed. A holder counts `beat` up while it lives; one whose beat
-- stands still is succeeded with the next epoch. An empty holder has given the lease back.
CREATE TABLE bus_leases (
    name       TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    holder     TEXT COLLATE "C" NOT NULL,
    epoch      BIGINT NOT NULL,
    beat       BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);

-- How far a consumer group has come in each partition; moves in the transaction of the effect.
CREATE TABLE bus_positions (
    group_name  TEXT COLLATE "C" NOT NULL,
    topic       TEXT COLLATE "C" NOT NULL,
    part        BIGINT NOT NULL,
    next_offset BIGINT NOT NULL,
    updated_at  BIGINT NOT NULL,
    PRIMARY KEY (group_name, topic, part)
);
