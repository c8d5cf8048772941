-- Days of fixes that are in the archive, a folder or a bucket, and no more in gps_events
-- (docs/decisions/0050-the-archive-of-fixes.md). An object has the fixes of an organization's day: where it lies follows
-- from org_id, day and object_id.
CREATE TABLE archived_days (
    org_id uuid NOT NULL REFERENCES organizations,
    day date NOT NULL,  -- UTC
    object_id uuid NOT NULL UNIQUE,
    rows bigint NOT NULL CHECK (rows > 0),
    bytes bigint NOT NULL CHECK (bytes > 0),
    sha256 bytea NOT NULL CHECK (length(sha256) = 32),
    footer_sha256 bytea NOT NULL CHECK (length(footer_sha256) = 32),  -- of what says where everything is
    archived_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (org_id, day)
);
SELECT make_tenant_table('archived_days');
GRANT SELECT ON archived_days TO opsc_app;
GRANT SELECT, INSERT, DELETE ON archived_days TO opsc_deliver;

-- The fixes of a tracker in such an object. south to east: the box around them, degrees.
CREATE TABLE archived_trackers (
    org_id uuid NOT NULL,
    tracker_id uuid NOT NULL,
    day date NOT NULL,
    rows bigint NOT NULL CHECK (rows > 0),
    first_at timestamptz NOT NULL,
    last_at timestamptz NOT NULL CHECK (last_at >= first_at),
    south double precision NOT NULL,
    north double precision NOT NULL,
    west double precision NOT NULL,
    east double precision NOT NULL,
    PRIMARY KEY (org_id, tracker_id, day),
    FOREIGN KEY (org_id, day) REFERENCES archived_days ON DELETE CASCADE
);
CREATE INDEX archived_trackers_of_day ON archived_trackers (org_id, day);
SELECT make_tenant_table('archived_trackers');
GRANT SELECT ON archived_trackers TO opsc_app;
GRANT SELECT, INSERT ON archived_trackers TO opsc_deliver;

-- Objects that no row above names any more, and from when on they go: a reader may be at them until then. Not a
-- tenant's: it outlives the organization.
CREATE TABLE archive_removals (
    path text COLLATE "C" PRIMARY KEY CHECK (length(path) <= 200),
    remove_at timestamptz NOT NULL
);
GRANT SELECT, INSERT, DELETE ON archive_removals TO opsc_deliver;

-- What is archived is read whole. INSERT: the few rows that are left of a chunk go into a new one.
GRANT SELECT, INSERT ON gps_events TO opsc_deliver;

-- Drops the chunk of fixes of [since, until). Only the owner of a hypertable may.
CREATE FUNCTION drop_position_chunk(since timestamptz, until timestamptz) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    RETURN (SELECT count(*) FROM drop_chunks('gps_events', older_than => until, newer_than => since));
END
$$;
REVOKE EXECUTE ON FUNCTION drop_position_chunk FROM PUBLIC;
GRANT EXECUTE ON FUNCTION drop_position_chunk TO opsc_deliver;
