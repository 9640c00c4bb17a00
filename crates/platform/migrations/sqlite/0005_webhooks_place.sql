-- The next place is one more than the largest, read anew for each batch of events.
CREATE INDEX webhook_deliveries_place ON webhook_deliveries (place);
