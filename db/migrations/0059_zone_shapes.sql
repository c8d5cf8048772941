-- The geometries of zones, apart from their versions: written before the revision is taken, so that
-- nobody waits for megabytes, once for all versions that have the same, and never changed.
CREATE TABLE zone_shapes (
    org_id uuid NOT NULL REFERENCES organizations,
    geometry_sha256 bytea NOT NULL CHECK (length(geometry_sha256) = 32),  -- of its text
    geometry json NOT NULL,  -- the GeoJSON geometry as it was given
    -- The shape that was read from it: well-known binary, without the radius of a circle and the width
    -- of a corridor, which stand in the versions.
    shape bytea NOT NULL,
    PRIMARY KEY (org_id, geometry_sha256)
);
ALTER TABLE zone_shapes ALTER COLUMN shape SET STORAGE EXTERNAL;  -- numbers hardly get smaller
ALTER TABLE zone_shapes ENABLE ROW LEVEL SECURITY;
ALTER TABLE zone_shapes FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON zone_shapes USING (org_id = (SELECT current_org_id()));
GRANT SELECT, INSERT ON zone_shapes TO opsc_app;
GRANT SELECT ON zone_shapes TO opsc_ingest;

-- Both are required once `db/maintenance/zone_shapes.py` has read the shapes of the versions that are
-- there; it then removes their column `geometry`.
ALTER TABLE zone_versions
    ADD COLUMN geometry_sha256 bytea,
    ADD COLUMN shape_bytes integer CHECK (shape_bytes > 0),  -- the length of the shape
    ADD COLUMN made_revision bigint,  -- the first one of the row; NULL: made before this migration
    ADD FOREIGN KEY (org_id, geometry_sha256) REFERENCES zone_shapes (org_id, geometry_sha256);

-- As in `0034_search_quotas_numbers.sql`, but a zone's first version, of which many are made at once,
-- neither looks for terms of before nor for the newest version.
CREATE OR REPLACE FUNCTION keep_zone_search_terms() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    of_zone uuid;
    code text;
BEGIN
    IF TG_TABLE_NAME = 'zone_versions' AND NEW.version = 1 THEN
        SELECT external_id INTO code FROM zones WHERE org_id = NEW.org_id AND id = NEW.zone_id;
        PERFORM write_search_terms(NEW.org_id, 'zone', NEW.zone_id, ARRAY[code], ARRAY[NEW.name]);
        RETURN NULL;
    END IF;
    IF TG_TABLE_NAME = 'zones' THEN of_zone := NEW.id; ELSE of_zone := NEW.zone_id; END IF;
    DELETE FROM search_terms WHERE org_id = NEW.org_id AND row_id = of_zone;
    PERFORM write_search_terms(
                zones.org_id, 'zone', zones.id, ARRAY[zones.external_id], ARRAY[newest.name])
       FROM zones
       JOIN zone_versions AS newest ON newest.org_id = zones.org_id AND newest.zone_id = zones.id
        AND newest.version = zones.version
      WHERE zones.org_id = NEW.org_id AND zones.id = of_zone AND zones.deleted_at IS NULL;
    RETURN NULL;
END
$$;
