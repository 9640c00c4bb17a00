-- Which installation these tables belong to: one row, made at the first start.
CREATE TABLE shadow_installation (
    one INTEGER PRIMARY KEY,
    id  TEXT    NOT NULL
);
