-- A book's row changes with nearly every batch: with room on its page the change needs no new
-- entries in the indexes. Pages that are full already keep what they have.
ALTER TABLE shadow_books SET (fillfactor = 50);
