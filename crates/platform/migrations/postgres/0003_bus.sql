-- How far each reader of a feed has come: the last sequence number given to its channel.
CREATE TABLE feed_positions (
    channel    TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    seq        BIGINT           NOT NULL,
    updated_at BIGINT           NOT NULL
);
