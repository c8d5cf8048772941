-- A claim writes a delivery again on the same page, where that has room, and then touches no index.
-- More than half of a page is room enough for all claims of a page at a time.
ALTER TABLE webhook_deliveries SET (fillfactor = 45);
