-- Employees on the live map, where the organization allows it: off until an admin turns it on.
ALTER TABLE organizations ADD COLUMN shows_employees boolean NOT NULL DEFAULT false;
GRANT UPDATE (shows_employees) ON organizations TO opsc_app;

-- The newest position of each employee by their trackers, as `latest_positions` has those of assets.
-- Ingest derives them from the fixes, and keeps none of an organization that does not show employees.
CREATE TABLE latest_employee_positions (
    org_id uuid NOT NULL,
    employee_id uuid NOT NULL,
    tracker_id uuid,         -- null, as all that follows: no position is known
    time timestamptz,
    seq integer,
    lat double precision,    -- degrees
    lon double precision,
    speed_mps real,
    course_deg real,
    accuracy_m real,
    changed_by xid8 NOT NULL DEFAULT pg_current_xact_id(),
    PRIMARY KEY (org_id, employee_id),
    FOREIGN KEY (org_id, employee_id) REFERENCES employees (org_id, id)
) WITH (fillfactor = 50);

ALTER TABLE latest_employee_positions ENABLE ROW LEVEL SECURITY;
ALTER TABLE latest_employee_positions FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON latest_employee_positions USING (org_id = (SELECT current_org_id()));

-- The API removes them where an admin turns the setting off.
GRANT SELECT, DELETE ON latest_employee_positions TO opsc_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON latest_employee_positions TO opsc_ingest;
GRANT SELECT (org_id, time), DELETE ON latest_employee_positions TO opsc_deliver;

GRANT SELECT (active, deleted_at) ON employees TO opsc_ingest;
GRANT EXECUTE ON FUNCTION is_employed TO opsc_ingest;

-- Those of these organizations that show their employees, for open connections of many of them.
CREATE FUNCTION showing_employees(of_orgs uuid[]) RETURNS TABLE (org_id uuid)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT o.org_id FROM public.organizations o
     WHERE o.org_id = ANY (of_orgs) AND o.shows_employees;
END;
REVOKE EXECUTE ON FUNCTION showing_employees FROM PUBLIC;
GRANT EXECUTE ON FUNCTION showing_employees TO opsc_app;
