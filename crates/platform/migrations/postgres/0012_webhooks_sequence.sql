-- Running number of the last numbered event that was queued for an endpoint.
ALTER TABLE webhook_endpoints ADD COLUMN sequence BIGINT NOT NULL DEFAULT 0;
