-- A box round each zone, so that the zones over one place can be counted.

ALTER TABLE zone_versions
    -- west, south, east, north in degrees; east is not below west, and beyond 180 where the zone lies
    -- over that meridian. NULL: made before this migration.
    ADD COLUMN box double precision[] CHECK (cardinality(box) = 4);
CREATE INDEX zone_versions_box ON zone_versions (org_id, (box[4]), (box[2])) WHERE valid_to IS NULL;
