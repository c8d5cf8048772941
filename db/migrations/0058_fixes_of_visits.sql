-- The last visit of each asset to a zone before an instant: whoever looks for the fixes of a zone's
-- visits in a stretch of time reads those that began in it, and of each asset the one that may reach
-- into it, and not all visits there ever were.

CREATE INDEX visits_by_asset ON visits (org_id, zone_id, asset_id, entered_at, left_at)
    WHERE NOT retracted;
