-- How many fixes a tracker has of an hour, and the box in which they lie: what lies elsewhere need not be read, and
-- what lies in a long time need not be counted (docs/decisions/0048-hours-of-fixes.md). Ingest keeps them, behind its
-- batches: fixes from `fix_hours_end.until` on are not in them, nor are those of hours in `fix_hours_changed`, which
-- got or lost fixes since.
CREATE TABLE fix_hours (
    org_id uuid NOT NULL REFERENCES organizations,
    tracker_id uuid NOT NULL,
    hour timestamptz NOT NULL,  -- its first instant
    fixes integer NOT NULL CHECK (fixes > 0),
    -- Degrees. Over the 180th meridian the box goes round the globe: it is never too small.
    south double precision NOT NULL,
    west double precision NOT NULL,
    north double precision NOT NULL,
    east double precision NOT NULL,
    PRIMARY KEY (org_id, tracker_id, hour)
);
CREATE INDEX fix_hours_by_age ON fix_hours (hour);
SELECT make_tenant_table('fix_hours');
GRANT SELECT ON fix_hours TO opsc_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON fix_hours TO opsc_ingest;
GRANT SELECT (hour), DELETE ON fix_hours TO opsc_deliver;

CREATE TABLE fix_hours_changed (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    org_id uuid NOT NULL,
    tracker_id uuid NOT NULL,
    hour timestamptz NOT NULL
);
CREATE INDEX fix_hours_changed_of_tracker ON fix_hours_changed (org_id, tracker_id, hour);
SELECT make_tenant_table('fix_hours_changed');
GRANT SELECT ON fix_hours_changed TO opsc_app;
GRANT SELECT, INSERT, DELETE ON fix_hours_changed TO opsc_ingest;
GRANT INSERT ON fix_hours_changed TO opsc_deliver;

CREATE TABLE fix_hours_end (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    until timestamptz NOT NULL
);
INSERT INTO fix_hours_end (until) VALUES ('-infinity');
GRANT SELECT ON fix_hours_end TO opsc_app;
GRANT SELECT, UPDATE ON fix_hours_end TO opsc_ingest;
