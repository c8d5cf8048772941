-- Events of trips and stops (docs/decisions/0053-events-of-trips.md): told while an organization wants them, by a loop
-- that follows the receipt of fixes.

-- Since when they are told; NULL: they are not.
ALTER TABLE organizations ADD COLUMN trip_events_since timestamptz;
GRANT UPDATE (trip_events_since) ON organizations TO opsc_app;
GRANT SELECT (trip_events_since) ON organizations TO opsc_deliver;

-- Up to which receipt fixes have been looked at.
CREATE TABLE trips_seen (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    received_at timestamptz NOT NULL
);
INSERT INTO trips_seen (received_at) VALUES ('-infinity');
GRANT SELECT, UPDATE ON trips_seen TO opsc_deliver;
INSERT INTO leases (name) VALUES ('trips');

-- Assets whose trips are to be worked out again, by the day of their fixes: some of [since, until] are new. A row without
-- new fixes waits for the deadline of the trip to which its last fix belongs.
CREATE TABLE trips_due (
    org_id uuid NOT NULL,
    asset_id uuid NOT NULL,
    day date NOT NULL,  -- UTC
    since timestamptz NOT NULL,
    until timestamptz NOT NULL CHECK (until >= since),
    due_at timestamptz NOT NULL,
    flags smallint,  -- the bits that all of the fixes have; NULL: none is new
    PRIMARY KEY (org_id, asset_id, day),
    FOREIGN KEY (org_id, asset_id) REFERENCES assets (org_id, id)
);
CREATE INDEX trips_due_next ON trips_due (org_id, due_at);
SELECT make_tenant_table('trips_due');
GRANT SELECT, INSERT, UPDATE, DELETE ON trips_due TO opsc_app, opsc_deliver;

-- Trips and stops as they were told last.
CREATE TABLE told_trips (
    org_id uuid NOT NULL,
    id uuid NOT NULL,
    asset_id uuid NOT NULL,
    is_stop boolean NOT NULL,
    revision integer NOT NULL CHECK (revision > 0),
    started_at timestamptz NOT NULL,
    ended_at timestamptz CHECK (ended_at >= started_at),  -- NULL: it goes on
    is_retracted boolean NOT NULL,
    -- What changes nothing while it goes on: of a stop, fixes near its middle, degrees; of a trip, those between.
    lat double precision,
    lon double precision,
    rests_since timestamptz,
    rests_until timestamptz,
    told_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (org_id, id),
    FOREIGN KEY (org_id, asset_id) REFERENCES assets (org_id, id)
);
CREATE INDEX told_trips_of_asset
    ON told_trips (org_id, asset_id, (coalesce(ended_at, 'infinity'::timestamptz))) WHERE NOT is_retracted;
CREATE INDEX told_trips_by_age ON told_trips (org_id, ended_at);
SELECT make_tenant_table('told_trips');
GRANT SELECT, INSERT, UPDATE ON told_trips TO opsc_app;
-- An asset that stays at its stop, or goes on with its trip, need not be looked at.
GRANT SELECT, DELETE ON told_trips TO opsc_deliver;

-- The types of `api/openapi/event_types.py`; a test compares them.
DROP POLICY of_a_type ON events;
CREATE POLICY of_a_type ON events AS RESTRICTIVE FOR INSERT TO opsc_app WITH CHECK (
    type = ANY ('{asset.geofence_breach,asset.geofence_dwell,asset.overspeed,asset.visit_amended,
        asset.stopped,trip.started,trip.ended,trip.amended,
        employee.punched_in,employee.punched_out,punch.amended,timesheet.approved,stock.low,
        quote.created,quote.sent,quote.accepted,quote.declined,quote.expired,work_order.created,
        work_order.assigned,work_order.started,work_order.completed,work_order.updated,
        work_order.cancelled,inspection.submitted,webhook_endpoint.disabled}'::text[]));
