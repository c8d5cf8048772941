-- Punches: an employee begins or ends work, or a break. Trackers of employees, and punch terminals.

-- Trackers of employees -----------------------------------------------------------------------

-- An assignment is to an asset or to an employee. An employee may have several trackers at a time.
ALTER TABLE tracker_assignments
    ALTER COLUMN asset_id DROP NOT NULL,
    ADD COLUMN employee_id uuid,
    ADD CONSTRAINT tracker_assignments_employee
        FOREIGN KEY (org_id, employee_id) REFERENCES employees (org_id, id),
    ADD CONSTRAINT tracker_is_on_one CHECK (num_nonnulls(asset_id, employee_id) = 1);
CREATE INDEX tracker_assignments_of_employee
    ON tracker_assignments (org_id, employee_id, assigned_from DESC)
    INCLUDE (assigned_to, tracker_id) WHERE employee_id IS NOT NULL;

-- Whether every employee of the organization may punch with it.
ALTER TABLE trackers ADD COLUMN is_punch_terminal boolean NOT NULL DEFAULT false;

-- Punches -------------------------------------------------------------------------------------

-- The id is derived from (employee, claimed time, kind, tracker): what is sent twice is one row.
-- A row is never removed. `verdict`, `reasons` and what follows them are the judgement by the rules
-- and the zones of then; `revision` counts judgements and reviews.
CREATE TABLE punches (
    org_id uuid NOT NULL REFERENCES organizations,
    id uuid NOT NULL,
    employee_id uuid NOT NULL,
    kind text NOT NULL CHECK (kind IN ('in', 'out', 'break_start', 'break_end')),
    claimed_at timestamptz NOT NULL,
    received_at timestamptz NOT NULL,
    tracker_id uuid,    -- NULL: over the API
    entered_by uuid,    -- the user who entered it for somebody else; NULL: the employee's own punch
    entry_reason text CHECK (length(entry_reason) BETWEEN 1 AND 1000),
    note text CHECK (length(note) <= 1000),

    -- The proof, as the device stated it. NULL: not known; so are a position of 0,0 and an accuracy
    -- of 0.
    fix_time timestamptz,
    lat double precision CHECK (lat BETWEEN -90 AND 90),
    lon double precision CHECK (lon BETWEEN -180 AND 180),
    accuracy_m double precision CHECK (accuracy_m > 0),
    mock boolean NOT NULL DEFAULT false,

    -- The judgement.
    verdict text NOT NULL CHECK (verdict IN ('verified', 'unverified', 'failed')),
    reasons jsonb NOT NULL CHECK (jsonb_typeof(reasons) = 'array'),  -- [{rule, makes, figures}]
    zone_id uuid,       -- the best of the zones that were compared, and the version in force
    zone_version integer,
    site_id uuid,       -- whose geofence the zone is, if it is a site's
    distance_m double precision,  -- to the edge of the zone, negative inside
    margin_m double precision,    -- tolerance - distance
    fix_age_s double precision,
    asset_id uuid,      -- the machine that the employee was at
    machine_distance_m double precision CHECK (machine_distance_m >= 0),
    pay_time timestamptz NOT NULL,
    pay_time_source text NOT NULL CHECK (pay_time_source IN ('claimed', 'disputed', 'entered')),
    server_time timestamptz,  -- the other reading, of a disputed time

    revision integer NOT NULL DEFAULT 1,
    review text CHECK (review IN ('accepted', 'rejected')),  -- NULL: not reviewed
    review_note text CHECK (length(review_note) BETWEEN 1 AND 1000),
    reviewed_by uuid,
    reviewed_at timestamptz,

    PRIMARY KEY (org_id, id),
    FOREIGN KEY (org_id, employee_id) REFERENCES employees (org_id, id),
    FOREIGN KEY (org_id, tracker_id) REFERENCES trackers (org_id, id),
    FOREIGN KEY (org_id, entered_by) REFERENCES users (org_id, id),
    FOREIGN KEY (org_id, zone_id, zone_version)
        REFERENCES zone_versions (org_id, zone_id, version),
    FOREIGN KEY (org_id, site_id) REFERENCES sites (org_id, id),
    FOREIGN KEY (org_id, asset_id) REFERENCES assets (org_id, id),
    FOREIGN KEY (org_id, reviewed_by) REFERENCES users (org_id, id),
    CHECK ((lat IS NULL) = (lon IS NULL)),
    CHECK ((zone_id IS NULL) = (zone_version IS NULL)),
    CHECK ((entered_by IS NULL) = (entry_reason IS NULL)),
    CHECK (entered_by IS NULL OR tracker_id IS NULL),
    CHECK ((server_time IS NULL) = (pay_time_source <> 'disputed')),
    CHECK ((review IS NULL) = (reviewed_by IS NULL)),
    CHECK ((review IS NULL) = (reviewed_at IS NULL)),
    CHECK (review IS NOT NULL OR review_note IS NULL)
);
CREATE INDEX punches_newest ON punches (org_id, claimed_at DESC, id DESC);
CREATE INDEX punches_of_employee ON punches (org_id, employee_id, claimed_at DESC, id DESC);
-- The hours of a period are counted by the time that is paid.
CREATE INDEX punches_by_pay_time ON punches (org_id, employee_id, pay_time, id);
-- What was received last, and how much in a day.
CREATE INDEX punches_by_receipt ON punches (org_id, employee_id, received_at DESC, id DESC);
-- Where the employee was at about a time, as far as it is to be believed.
CREATE INDEX punches_places ON punches (org_id, employee_id, fix_time)
    WHERE lat IS NOT NULL AND verdict <> 'failed';
CREATE INDEX punches_to_review ON punches (org_id, claimed_at DESC, id DESC)
    WHERE review IS NULL AND verdict <> 'verified';

-- A punch is its own record; what is changed of it later is written down.
SELECT audit('punches', 'punch', 'id', 'UPDATE');

-- Row-level security and rights ---------------------------------------------------------------

ALTER TABLE punches ENABLE ROW LEVEL SECURITY;
ALTER TABLE punches FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON punches USING (org_id = (SELECT current_org_id()));

GRANT SELECT, INSERT, UPDATE (review, review_note, reviewed_by, reviewed_at, revision) ON punches
    TO opsc_app;
GRANT INSERT (org_id, id, type, occurred_at, data) ON events TO opsc_app;
GRANT SELECT, INSERT ON punches TO opsc_ingest;
GRANT SELECT ON sites TO opsc_ingest;
-- Who records a punch locks its employee, which takes a right to update a column.
GRANT SELECT (org_id, id, name, punch_by, punch_site_ids), UPDATE (updated_at) ON employees
    TO opsc_ingest;
