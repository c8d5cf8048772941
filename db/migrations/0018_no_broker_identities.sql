-- Trackers and gateways sign in to the listener, which knows a secret by secret_hash. What a broker
-- knew it by is not needed any more; secrets that were issued stay good.
ALTER TABLE trackers DROP COLUMN broker_hash;
ALTER TABLE gateways DROP COLUMN broker_hash;
