-- Which tracker an asset carries, and which asset a tracker is on, is asked for every row of lists of
-- assets, trackers and fixes. PostgreSQL answered from the indexes of the two rules below, which it
-- holds to be as cheap as any, though a look-up by GiST takes ten times as long as one by B-tree. As
-- the rules are written now, such a question is none that they could answer.

ALTER TABLE tracker_assignments
    DROP CONSTRAINT tracker_has_one_asset,
    DROP CONSTRAINT asset_has_one_tracker,
    ADD CONSTRAINT tracker_has_one_asset EXCLUDE USING gist (
        org_id WITH =, (tracker_id::text) WITH =, tstzrange(assigned_from, assigned_to) WITH &&),
    ADD CONSTRAINT asset_has_one_tracker EXCLUDE USING gist (
        org_id WITH =, (asset_id::text) WITH =, tstzrange(assigned_from, assigned_to) WITH &&);

DROP INDEX tracker_assignments_of_tracker;
CREATE INDEX tracker_assignments_of_tracker
    ON tracker_assignments (org_id, tracker_id, assigned_from DESC) INCLUDE (assigned_to, asset_id);
