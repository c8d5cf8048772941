-- The straight path: organizations, who and what belongs to them, fixes, visits, events, deliveries.
--
-- Every table of a tenant carries org_id in its primary, unique and foreign keys, has row-level
-- security enabled and forced, and is reached by the API as opsc_app, which owns nothing.

-- The tenant of the running transaction: set with set_config('app.org_id', ..., true), else none.
CREATE FUNCTION current_org_id() RETURNS uuid
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN nullif(current_setting('app.org_id', true), '')::uuid;

-- Who and what --------------------------------------------------------------------------------

CREATE TABLE organizations (
    org_id uuid PRIMARY KEY,
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
    plan text NOT NULL DEFAULT 'unlimited' CHECK (plan IN ('starter', 'team', 'unlimited')),
    event_seq bigint NOT NULL DEFAULT 0,  -- the last seq given to an event
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE users (
    org_id uuid NOT NULL REFERENCES organizations,
    id uuid NOT NULL,
    email text NOT NULL CHECK (email = lower(email) AND length(email) BETWEEN 3 AND 254),
    password_hash text NOT NULL,
    role text NOT NULL CHECK (role IN ('admin', 'dispatcher', 'technician', 'viewer')),
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (org_id, id),
    UNIQUE (org_id, email)
);

-- One row. A change of anything that a decision depends on (zones, trackers, assignments, assets)
-- raises it while holding the row; each ingest transaction reads it FOR SHARE. Rows that changed
-- carry the number of their last change, so that ingest reads only what is new to it.
CREATE TABLE zones_revision (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    revision bigint NOT NULL
);
INSERT INTO zones_revision (revision) VALUES (0);

CREATE TABLE assets (
    org_id uuid NOT NULL REFERENCES organizations,
    id uuid NOT NULL,
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
    external_id text CHECK (length(external_id) BETWEEN 1 AND 200),
    make text CHECK (length(make) <= 200),
    model text CHECK (length(model) <= 200),
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    revision bigint NOT NULL,
    PRIMARY KEY (org_id, id),
    UNIQUE (org_id, external_id)
);
CREATE INDEX assets_newest ON assets (org_id, created_at DESC, id DESC);
CREATE INDEX assets_revision ON assets (revision);

CREATE TABLE trackers (
    org_id uuid NOT NULL REFERENCES organizations,
    id uuid NOT NULL UNIQUE,
    name text CHECK (length(name) BETWEEN 1 AND 200),
    external_id text CHECK (length(external_id) BETWEEN 1 AND 200),
    secret_hash bytea NOT NULL CHECK (length(secret_hash) = 32),  -- SHA-256 of a 256-bit secret
    receipts boolean NOT NULL DEFAULT false,
    revoked_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    revision bigint NOT NULL,
    PRIMARY KEY (org_id, id),
    UNIQUE (org_id, external_id)
);
CREATE INDEX trackers_newest ON trackers (org_id, created_at DESC, id DESC);
CREATE INDEX trackers_revision ON trackers (revision);

-- History is stored by tracker; the asset of a fix is the one assigned at the fix's own time.
CREATE TABLE tracker_assignments (
    org_id uuid NOT NULL,
    id uuid NOT NULL,
    tracker_id uuid NOT NULL,
    asset_id uuid NOT NULL,
    assigned_from timestamptz NOT NULL,
    assigned_to timestamptz CHECK (assigned_to > assigned_from),  -- NULL: still assigned
    created_at timestamptz NOT NULL DEFAULT now(),
    revision bigint NOT NULL,
    PRIMARY KEY (org_id, id),
    FOREIGN KEY (org_id, tracker_id) REFERENCES trackers (org_id, id),
    FOREIGN KEY (org_id, asset_id) REFERENCES assets (org_id, id),
    CONSTRAINT tracker_has_one_asset EXCLUDE USING gist (
        org_id WITH =, tracker_id WITH =, tstzrange(assigned_from, assigned_to) WITH &&),
    CONSTRAINT asset_has_one_tracker EXCLUDE USING gist (
        org_id WITH =, asset_id WITH =, tstzrange(assigned_from, assigned_to) WITH &&)
);
CREATE INDEX tracker_assignments_revision ON tracker_assignments (revision);

-- Zones ---------------------------------------------------------------------------------------

CREATE TABLE zones (
    org_id uuid NOT NULL REFERENCES organizations,
    id uuid NOT NULL,
    external_id text CHECK (length(external_id) BETWEEN 1 AND 200),
    version integer NOT NULL,  -- the newest
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    deleted_at timestamptz,
    PRIMARY KEY (org_id, id)
);
CREATE UNIQUE INDEX zones_external_id ON zones (org_id, external_id) WHERE deleted_at IS NULL;
CREATE INDEX zones_newest ON zones (org_id, created_at DESC, id DESC) WHERE deleted_at IS NULL;

-- A fix is judged by the version in force at the fix's own time: [valid_from, valid_to).
CREATE TABLE zone_versions (
    org_id uuid NOT NULL,
    zone_id uuid NOT NULL,
    version integer NOT NULL CHECK (version >= 1),
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
    kind text NOT NULL CHECK (kind IN ('restricted', 'allowed', 'jobsite', 'yard', 'other')),
    alert_on text[] CHECK (alert_on <@ ARRAY['enter', 'exit', 'pass_through']),  -- NULL: by kind
    geometry json NOT NULL,  -- the GeoJSON geometry as it was given
    radius_m double precision CHECK (radius_m > 0),
    valid_from timestamptz NOT NULL,
    valid_to timestamptz CHECK (valid_to >= valid_from),
    created_at timestamptz NOT NULL DEFAULT now(),
    revision bigint NOT NULL,
    PRIMARY KEY (org_id, zone_id, version),
    FOREIGN KEY (org_id, zone_id) REFERENCES zones (org_id, id)
);
CREATE UNIQUE INDEX zone_has_one_open_version ON zone_versions (org_id, zone_id)
    WHERE valid_to IS NULL;
CREATE INDEX zone_versions_revision ON zone_versions (revision);

-- Fixes ---------------------------------------------------------------------------------------

-- (tracker_id, time, seq) identifies a fix. No foreign keys: each would cost a look-up per row, and
-- the one writer knows its trackers.
CREATE TABLE gps_events (
    org_id uuid NOT NULL,
    tracker_id uuid NOT NULL,
    time timestamptz NOT NULL,
    seq integer NOT NULL,
    received_at timestamptz NOT NULL,
    lat double precision NOT NULL CHECK (lat BETWEEN -90 AND 90),
    lon double precision NOT NULL CHECK (lon BETWEEN -180 AND 180),
    flags smallint NOT NULL DEFAULT 0,  -- 1 suspect, 2 rollover
    altitude_m real,
    speed_mps real,
    course_deg real,
    accuracy_m real,
    battery_pct real,
    satellites smallint,
    ignition boolean,
    attributes jsonb
);
-- Row-level security covers the hypertable, not its chunks: they live in a schema of their own, on
-- which only the owner has USAGE.
CREATE SCHEMA gps_chunks;
SELECT create_hypertable('gps_events', 'time', chunk_time_interval => INTERVAL '1 day',
                         create_default_indexes => false, associated_schema_name => 'gps_chunks');
CREATE UNIQUE INDEX gps_events_identity ON gps_events (tracker_id, time, seq);
CREATE INDEX gps_events_time ON gps_events USING brin (time) WITH (autosummarize = on);

-- Visits and events ---------------------------------------------------------------------------

-- One stay of an asset in a zone. The id is derived from (asset, zone, identity of the fix that
-- opened it, instant of the zone's change where that opened it), so writing a visit twice fails.
CREATE TABLE visits (
    org_id uuid NOT NULL,
    id uuid NOT NULL,
    asset_id uuid NOT NULL,
    zone_id uuid NOT NULL,
    zone_version integer NOT NULL,
    tracker_id uuid NOT NULL,       -- identity of the opening fix: tracker, time, seq
    opening_time timestamptz NOT NULL,
    opening_seq integer NOT NULL,
    opening_change timestamptz,     -- the zone's change, where that opened the visit
    entered_at timestamptz NOT NULL,
    entry_lat double precision NOT NULL,
    entry_lon double precision NOT NULL,
    entry_cause text NOT NULL CHECK (entry_cause IN ('moved', 'initial', 'zone_changed')),
    left_at timestamptz CHECK (left_at >= entered_at),
    exit_lat double precision,
    exit_lon double precision,
    exit_cause text CHECK (exit_cause IN ('moved', 'zone_changed')),
    revision integer NOT NULL DEFAULT 1,
    PRIMARY KEY (org_id, id),
    CHECK ((left_at IS NULL) = (exit_cause IS NULL))
);
CREATE UNIQUE INDEX visit_is_open_once ON visits (asset_id, zone_id) WHERE left_at IS NULL;
CREATE INDEX visits_newest ON visits (org_id, entered_at DESC, id DESC);
CREATE INDEX visits_of_zone ON visits (org_id, zone_id, entered_at DESC, id DESC);
CREATE INDEX visits_of_asset ON visits (org_id, asset_id, entered_at DESC, id DESC);

-- The outbox. `position` is the order of writing; `seq` is given after commit by the sequencer,
-- without gaps per organization, so that a reader that resumes from a seq misses nothing.
CREATE TABLE events (
    org_id uuid NOT NULL,
    id uuid NOT NULL,
    type text NOT NULL,
    occurred_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    data json NOT NULL,
    position bigint GENERATED ALWAYS AS IDENTITY,
    seq bigint,
    PRIMARY KEY (org_id, id)
);
-- Partial: an event that is written costs it nothing, and a look-up of one event by its key, as the
-- foreign key of deliveries does, can never be planned to walk an organization's events instead.
CREATE UNIQUE INDEX events_by_seq ON events (org_id, seq) WHERE seq IS NOT NULL;
CREATE INDEX events_without_seq ON events (position) WHERE seq IS NULL;

CREATE TABLE webhook_endpoints (
    org_id uuid NOT NULL REFERENCES organizations,
    id uuid NOT NULL,
    url text NOT NULL CHECK (length(url) BETWEEN 1 AND 2000),
    types text[] NOT NULL CHECK (cardinality(types) BETWEEN 1 AND 50),  -- patterns: *, asset.*, ...
    description text CHECK (length(description) <= 500),
    secret_encrypted bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    deleted_at timestamptz,
    PRIMARY KEY (org_id, id)
);
CREATE INDEX webhook_endpoints_newest ON webhook_endpoints (org_id, created_at DESC, id DESC)
    WHERE deleted_at IS NULL;

CREATE TABLE webhook_deliveries (
    org_id uuid NOT NULL,
    endpoint_id uuid NOT NULL,
    event_id uuid NOT NULL,
    seq bigint NOT NULL,  -- the event's, so that one endpoint is served in order
    state text NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'delivered', 'failed')),
    attempts integer NOT NULL DEFAULT 0,
    next_attempt_at timestamptz NOT NULL DEFAULT now(),
    claimed_until timestamptz,
    last_status integer,
    last_error text CHECK (length(last_error) <= 500),
    delivered_at timestamptz,
    PRIMARY KEY (org_id, endpoint_id, event_id),
    FOREIGN KEY (org_id, endpoint_id) REFERENCES webhook_endpoints (org_id, id),
    FOREIGN KEY (org_id, event_id) REFERENCES events (org_id, id)
);
CREATE INDEX webhook_deliveries_due ON webhook_deliveries (endpoint_id, next_attempt_at, seq)
    WHERE state = 'pending';

-- What could not be stored --------------------------------------------------------------------

-- The same bytes refused again raise `seen`: a message that the broker hands over twice is kept
-- once. org_id is NULL where the sender is unknown: only the operator sees such rows.
CREATE TABLE quarantine (
    org_id uuid,
    id uuid PRIMARY KEY,
    digest bytea NOT NULL UNIQUE CHECK (length(digest) = 32),  -- over topic, reason, payload
    topic text NOT NULL,
    reason text NOT NULL,
    detail text NOT NULL,
    positions integer[] NOT NULL,   -- which fixes of an array; empty: the whole message
    payload bytea,                  -- up to 64 KiB; NULL beyond
    payload_bytes integer NOT NULL,
    payload_sha256 bytea NOT NULL,
    seen bigint NOT NULL DEFAULT 1,
    first_received_at timestamptz NOT NULL,
    last_received_at timestamptz NOT NULL
);
CREATE INDEX quarantine_newest ON quarantine (org_id, last_received_at DESC, id DESC);

-- Who may act ---------------------------------------------------------------------------------

-- One active owner per name. A new owner raises the epoch; every transaction of the old one checks
-- its epoch and fails.
-- The epoch is part of a key: a transaction that holds it FOR KEY SHARE keeps a new owner out, but
-- not the renewal of the lease, which changes no key.
CREATE TABLE leases (
    name text PRIMARY KEY,
    epoch bigint NOT NULL DEFAULT 0,
    holder text NOT NULL DEFAULT '',
    expires_at timestamptz NOT NULL DEFAULT '-infinity',
    UNIQUE (name, epoch)
);
INSERT INTO leases (name) VALUES ('ingest'), ('sequencer');

-- Row-level security --------------------------------------------------------------------------

DO $$
DECLARE
    tenant_table text;
BEGIN
    FOREACH tenant_table IN ARRAY ARRAY[
        'organizations', 'users', 'assets', 'trackers', 'tracker_assignments', 'zones',
        'zone_versions', 'gps_events', 'visits', 'events', 'webhook_endpoints',
        'webhook_deliveries', 'quarantine']
    LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', tenant_table);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', tenant_table);
        EXECUTE format('CREATE POLICY tenant ON %I USING (org_id = (SELECT current_org_id()))',
                       tenant_table);
    END LOOP;
END
$$;

-- Rights --------------------------------------------------------------------------------------

GRANT SELECT ON organizations, users, gps_events, visits, events, quarantine, webhook_deliveries
    TO opsc_app;
GRANT SELECT, INSERT, UPDATE ON assets, trackers, tracker_assignments, zones, zone_versions,
    webhook_endpoints TO opsc_app;
GRANT SELECT, UPDATE ON zones_revision TO opsc_app;

GRANT SELECT ON organizations, assets, trackers, tracker_assignments, zones, zone_versions
    TO opsc_ingest;
GRANT SELECT, INSERT ON gps_events TO opsc_ingest;
GRANT SELECT, INSERT, UPDATE ON visits, quarantine TO opsc_ingest;
GRANT INSERT ON events TO opsc_ingest;
GRANT SELECT, UPDATE ON leases, zones_revision TO opsc_ingest;

GRANT SELECT ON webhook_endpoints TO opsc_deliver;
GRANT SELECT, UPDATE (seq) ON events TO opsc_deliver;
GRANT SELECT (org_id, plan, event_seq), UPDATE (event_seq) ON organizations TO opsc_deliver;
GRANT SELECT, INSERT, UPDATE ON webhook_deliveries TO opsc_deliver;
GRANT SELECT, UPDATE ON leases TO opsc_deliver;
