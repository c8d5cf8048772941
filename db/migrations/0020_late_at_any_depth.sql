-- The fix that ended a visit, as tracker_id, opening_time and opening_seq are the one that opened it.
-- Null where a visit lasts, and where it ended before this was kept.
ALTER TABLE visits
    ADD COLUMN exit_tracker_id uuid,
    ADD COLUMN exit_fix_time timestamptz,
    ADD COLUMN exit_fix_seq integer;

-- Ingest itself puts an asset among those that wait, where a late fix has too much behind it to be
-- judged in one transaction.
ALTER TABLE asset_backlogs
    -- Up to when the asset was judged before; null where an assignment reaches back.
    ADD COLUMN judged_until timestamptz;
GRANT INSERT ON asset_backlogs TO opsc_ingest;
