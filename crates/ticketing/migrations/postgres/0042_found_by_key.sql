-- What a buyer has open, and whether a scan was told before, are found by buyer and nonce: an index
-- that begins with the event finds all orders, or all scans, of a hot one.
DROP INDEX tk_orders_buyer;
CREATE INDEX tk_orders_buyer ON tk_orders (buyer, event_id, status);
DROP INDEX tk_check_ins_nonce;
CREATE UNIQUE INDEX tk_check_ins_nonce ON tk_check_ins (nonce, event_id);
