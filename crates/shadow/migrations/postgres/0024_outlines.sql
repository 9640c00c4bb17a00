-- What a decision asks of a block whose entries it does not read: lowest sum, sum without signs,
-- applied entries and the last of them, whether one is open. NULL: written before this version,
-- and the book is read whole until it changes.
ALTER TABLE shadow_blocks ADD COLUMN applied BIGINT;
ALTER TABLE shadow_blocks ADD COLUMN is_open BOOLEAN;
ALTER TABLE shadow_blocks ADD COLUMN l0 BIGINT;
ALTER TABLE shadow_blocks ADD COLUMN l1 BIGINT;
ALTER TABLE shadow_blocks ADD COLUMN l2 BIGINT;
ALTER TABLE shadow_blocks ADD COLUMN g0 BIGINT;
ALTER TABLE shadow_blocks ADD COLUMN g1 BIGINT;
ALTER TABLE shadow_blocks ADD COLUMN g2 BIGINT;
ALTER TABLE shadow_blocks ADD COLUMN final_ts BIGINT;
ALTER TABLE shadow_blocks ADD COLUMN final_event TEXT COLLATE "C";
