-- Who claimed a delivery. A claimer holds an advisory lock (db/webhook_claimers.py): the claims of a
-- process that was killed are free soon after, and not only when they lapse.
ALTER TABLE webhook_deliveries ADD COLUMN claimer integer;
