-- What makes lists quick: how many rows they have is kept, and what they join stands in an index.

-- How many rows -------------------------------------------------------------------------------

-- As many as a list without filters shows. One row for each organization and table, changed when a
-- transaction commits, by the trigger below; no row yet: none was ever made.
CREATE TABLE row_counts (
    org_id uuid NOT NULL REFERENCES organizations,
    table_name text NOT NULL CHECK (table_name IN ('assets', 'trackers', 'zones')),
    rows bigint NOT NULL,
    PRIMARY KEY (org_id, table_name)
) WITH (fillfactor = 50);

-- Argument: how many more there are. The trigger is deferred and has a name behind that of `audit`,
-- so the writers of an organization take turns already when they come here, and wait for nothing
-- else: no two of them can wait for each other.
CREATE FUNCTION count_row() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    INSERT INTO row_counts AS kept (org_id, table_name, rows)
    VALUES (coalesce(NEW.org_id, OLD.org_id), TG_TABLE_NAME, TG_ARGV[0]::bigint)
    ON CONFLICT (org_id, table_name) DO UPDATE SET rows = kept.rows + excluded.rows;
    RETURN NULL;
END
$$;

REVOKE EXECUTE ON FUNCTION count_row FROM PUBLIC;

DO $$
DECLARE
    change record;
BEGIN
    FOR change IN SELECT * FROM (VALUES
        ('assets', 'count_insert', 'INSERT', 'NEW.deleted_at IS NULL', 1),
        ('assets', 'count_delete', 'UPDATE', 'OLD.deleted_at IS NULL AND NEW.deleted_at IS NOT NULL', -1),
        ('assets', 'count_restore', 'UPDATE', 'OLD.deleted_at IS NOT NULL AND NEW.deleted_at IS NULL', 1),
        ('assets', 'count_remove', 'DELETE', 'OLD.deleted_at IS NULL', -1),
        ('zones', 'count_insert', 'INSERT', 'NEW.deleted_at IS NULL', 1),
        ('zones', 'count_delete', 'UPDATE', 'OLD.deleted_at IS NULL AND NEW.deleted_at IS NOT NULL', -1),
        ('zones', 'count_restore', 'UPDATE', 'OLD.deleted_at IS NOT NULL AND NEW.deleted_at IS NULL', 1),
        ('zones', 'count_remove', 'DELETE', 'OLD.deleted_at IS NULL', -1),
        ('trackers', 'count_insert', 'INSERT', 'true', 1),
        ('trackers', 'count_remove', 'DELETE', 'true', -1)
    ) AS change (table_name, name, action, condition, difference)
    LOOP
        EXECUTE format(
            'CREATE CONSTRAINT TRIGGER %I AFTER %s ON %I DEFERRABLE INITIALLY DEFERRED'
            ' FOR EACH ROW WHEN (%s) EXECUTE FUNCTION count_row(%L)',
            change.name, change.action, change.table_name, change.condition, change.difference);
    END LOOP;
END
$$;

-- Row-level security is forced on the owner too, who runs this and has no tenant.
ALTER TABLE assets NO FORCE ROW LEVEL SECURITY;
ALTER TABLE trackers NO FORCE ROW LEVEL SECURITY;
ALTER TABLE zones NO FORCE ROW LEVEL SECURITY;
INSERT INTO row_counts (org_id, table_name, rows)
SELECT org_id, 'assets', count(*) FROM assets WHERE deleted_at IS NULL GROUP BY org_id
 UNION ALL
SELECT org_id, 'trackers', count(*) FROM trackers GROUP BY org_id
 UNION ALL
SELECT org_id, 'zones', count(*) FROM zones WHERE deleted_at IS NULL GROUP BY org_id;
ALTER TABLE assets FORCE ROW LEVEL SECURITY;
ALTER TABLE trackers FORCE ROW LEVEL SECURITY;
ALTER TABLE zones FORCE ROW LEVEL SECURITY;

-- Who is where now ----------------------------------------------------------------------------

-- With all that lists read of an assignment, so that none of them looks at the rows.
DROP INDEX tracker_assignments_of_asset, tracker_assignments_of_tracker;
CREATE INDEX tracker_assignments_of_asset
    ON tracker_assignments (org_id, asset_id, assigned_from DESC) INCLUDE (assigned_to, tracker_id);
CREATE INDEX tracker_assignments_of_tracker
    ON tracker_assignments (org_id, tracker_id) INCLUDE (asset_id, assigned_from)
    WHERE assigned_to IS NULL;

-- Row-level security and rights ---------------------------------------------------------------

ALTER TABLE row_counts ENABLE ROW LEVEL SECURITY;
ALTER TABLE row_counts FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON row_counts USING (org_id = (SELECT current_org_id()));
-- The trigger runs as the owner, and also for those who act for all organizations.
CREATE POLICY keep ON row_counts TO opsc_owner USING (true) WITH CHECK (true);
GRANT SELECT ON row_counts TO opsc_app;
