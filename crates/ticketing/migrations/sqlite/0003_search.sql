-- Words by which events are found: folded, each once per event, with the place where it weighs
-- most (0 title, 1 tags, 2 organiser, 3 venue, 4 city, 5 description).
CREATE TABLE tk_search (
    word     TEXT   NOT NULL,
    event_id TEXT   NOT NULL,
    weight   BIGINT NOT NULL,
    PRIMARY KEY (word, event_id)
);
CREATE INDEX tk_search_event ON tk_search (event_id);
