-- Refunds of an event are read page by page in the order they were made.
CREATE INDEX tk_refunds_event_page ON tk_refunds (event_id, id);
