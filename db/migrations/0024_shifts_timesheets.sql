-- Shifts and timesheets: what follows from punches, and who has approved it.

-- The organization's rules, as far as they were given: see `db/hours/rules.py`.
ALTER TABLE organizations
    ADD COLUMN timesheet_rules jsonb NOT NULL DEFAULT '{}'
        CHECK (jsonb_typeof(timesheet_rules) = 'object');
-- NULL: the organization's.
ALTER TABLE employees ADD COLUMN timezone text CHECK (length(timezone) BETWEEN 1 AND 64);

-- Shifts --------------------------------------------------------------------------------------

-- They are derived from the punches of an employee, in the transaction that records or reviews a
-- punch. The id is derived from the punch that opens the shift.
CREATE TABLE shifts (
    org_id uuid NOT NULL REFERENCES organizations,
    id uuid NOT NULL,
    employee_id uuid NOT NULL,
    opened_by uuid NOT NULL,  -- the punch
    closed_by uuid,           -- the punch; NULL: none has
    started_at timestamptz NOT NULL,
    ended_at timestamptz,     -- NULL: it was open when its last punch came
    break_s integer NOT NULL CHECK (break_s >= 0),
    worked_s integer NOT NULL CHECK (worked_s >= 0),
    server_worked_s integer CHECK (server_worked_s >= 0),  -- by what the server saw, if disputed
    site_id uuid,
    asset_id uuid,
    work_order_id uuid,
    verdicts jsonb NOT NULL,  -- {verdict: how many of its punches}
    flags jsonb NOT NULL CHECK (jsonb_typeof(flags) = 'array'),
    -- What an open shift becomes without another punch, and when.
    lapses_at timestamptz,
    lapsed jsonb,             -- {break_s, worked_s, server_worked_s, flags}
    PRIMARY KEY (org_id, id),
    UNIQUE (org_id, opened_by),
    FOREIGN KEY (org_id, employee_id) REFERENCES employees (org_id, id),
    FOREIGN KEY (org_id, opened_by) REFERENCES punches (org_id, id),
    FOREIGN KEY (org_id, closed_by) REFERENCES punches (org_id, id),
    FOREIGN KEY (org_id, site_id) REFERENCES sites (org_id, id),
    FOREIGN KEY (org_id, asset_id) REFERENCES assets (org_id, id),
    CHECK (ended_at >= started_at),
    CHECK (closed_by IS NULL OR ended_at IS NOT NULL),
    CHECK ((ended_at IS NULL) = (lapses_at IS NOT NULL)),
    CHECK ((ended_at IS NULL) = (lapsed IS NOT NULL))
);
CREATE UNIQUE INDEX employee_has_one_open_shift ON shifts (org_id, employee_id)
    WHERE ended_at IS NULL;
CREATE INDEX shifts_newest ON shifts (org_id, started_at DESC, id DESC);
CREATE INDEX shifts_of_employee ON shifts (org_id, employee_id, started_at DESC, id DESC);

-- Timesheets ----------------------------------------------------------------------------------

-- figures and rules: what was approved, and by which rules it was counted.
CREATE TABLE timesheets (
    org_id uuid NOT NULL REFERENCES organizations,
    id uuid NOT NULL,
    employee_id uuid NOT NULL,
    first_day date NOT NULL,
    last_day date NOT NULL,
    state text NOT NULL DEFAULT 'open'
        CHECK (state IN ('open', 'submitted', 'approved', 'rejected', 'locked')),
    submitted_by uuid,
    submitted_at timestamptz,
    decided_by uuid,  -- who approved or rejected it
    decided_at timestamptz,
    locked_by uuid,
    locked_at timestamptz,
    figures jsonb,
    rules jsonb,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (org_id, id),
    FOREIGN KEY (org_id, employee_id) REFERENCES employees (org_id, id),
    FOREIGN KEY (org_id, submitted_by) REFERENCES users (org_id, id),
    FOREIGN KEY (org_id, decided_by) REFERENCES users (org_id, id),
    FOREIGN KEY (org_id, locked_by) REFERENCES users (org_id, id),
    -- A day is on one timesheet of an employee.
    CONSTRAINT timesheet_has_days_of_its_own EXCLUDE USING gist (
        org_id WITH =, employee_id WITH =, daterange(first_day, last_day, '[]') WITH &&),
    CHECK (last_day - first_day BETWEEN 0 AND 30),
    CHECK ((submitted_by IS NULL) = (submitted_at IS NULL)),
    CHECK ((decided_by IS NULL) = (decided_at IS NULL)),
    CHECK ((locked_by IS NULL) = (locked_at IS NULL)),
    CONSTRAINT timesheet_says_who CHECK (CASE state
        WHEN 'open' THEN num_nonnulls(submitted_by, decided_by, locked_by) = 0
        WHEN 'submitted' THEN submitted_by IS NOT NULL AND num_nonnulls(decided_by, locked_by) = 0
        WHEN 'locked' THEN num_nulls(submitted_by, decided_by, locked_by) = 0
        ELSE num_nulls(submitted_by, decided_by) = 0 AND locked_by IS NULL END),
    CONSTRAINT timesheet_keeps_figures
        CHECK ((state IN ('approved', 'locked')) = (figures IS NOT NULL)),
    CHECK ((figures IS NULL) = (rules IS NULL))
);
CREATE INDEX timesheets_newest ON timesheets (org_id, created_at DESC, id DESC);
CREATE INDEX timesheets_of_employee
    ON timesheets (org_id, employee_id, created_at DESC, id DESC);
CREATE INDEX timesheets_by_state ON timesheets (org_id, state, created_at DESC, id DESC);
CREATE INDEX timesheets_by_day ON timesheets (org_id, last_day);

-- The moves of `operations/timesheet_states.py`; a test compares them.
CREATE FUNCTION check_timesheet_move() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NEW.state = 'open' THEN RETURN NEW; END IF;
        RAISE check_violation USING CONSTRAINT = 'timesheet_moves',
            MESSAGE = format('a timesheet begins open, not %s', NEW.state);
    END IF;
    IF NEW.state <> OLD.state AND (OLD.state, NEW.state) NOT IN (
        ('open', 'submitted'),
        ('submitted', 'approved'), ('submitted', 'rejected'), ('submitted', 'open'),
        ('rejected', 'submitted'), ('rejected', 'open'),
        ('approved', 'locked'), ('approved', 'open'),
        ('locked', 'open'))
    THEN
        RAISE check_violation USING CONSTRAINT = 'timesheet_moves',
            MESSAGE = format('a timesheet cannot go from %s to %s', OLD.state, NEW.state);
    END IF;
    IF NEW.state IN ('approved', 'locked') AND OLD.figures IS NOT NULL
        AND (NEW.figures, NEW.rules) IS DISTINCT FROM (OLD.figures, OLD.rules)
    THEN
        RAISE check_violation USING CONSTRAINT = 'timesheet_moves',
            MESSAGE = 'the figures of an approved timesheet do not change';
    END IF;
    RETURN NEW;
END
$$;
REVOKE EXECUTE ON FUNCTION check_timesheet_move FROM PUBLIC;
CREATE TRIGGER moves BEFORE INSERT OR UPDATE ON timesheets
    FOR EACH ROW EXECUTE FUNCTION check_timesheet_move();

-- Nobody changes or removes an adjustment: another one takes it back.
CREATE TABLE timesheet_adjustments (
    org_id uuid NOT NULL REFERENCES organizations,
    id uuid NOT NULL,
    timesheet_id uuid NOT NULL,
    day date NOT NULL,
    seconds integer NOT NULL CHECK (seconds <> 0 AND seconds BETWEEN -86400 AND 86400),
    reason text NOT NULL CHECK (length(reason) BETWEEN 1 AND 500),
    created_by uuid NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (org_id, id),
    FOREIGN KEY (org_id, timesheet_id) REFERENCES timesheets (org_id, id),
    FOREIGN KEY (org_id, created_by) REFERENCES users (org_id, id)
);
CREATE INDEX timesheet_adjustments_of_timesheet
    ON timesheet_adjustments (org_id, timesheet_id, created_at, id);

-- Shifts and empty timesheets follow from punches. What people do to a timesheet is written down.
SELECT audit('timesheets', 'timesheet', 'id', 'UPDATE OR DELETE'),
       audit('timesheet_adjustments', 'timesheet', 'timesheet_id');

-- Row-level security and rights ---------------------------------------------------------------

DO $$
DECLARE
    tenant_table text;
BEGIN
    FOREACH tenant_table IN ARRAY ARRAY['shifts', 'timesheets', 'timesheet_adjustments']
    LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', tenant_table);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', tenant_table);
        EXECUTE format('CREATE POLICY tenant ON %I USING (org_id = (SELECT current_org_id()))',
                       tenant_table);
    END LOOP;
END
$$;

GRANT UPDATE (timesheet_rules) ON organizations TO opsc_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON shifts TO opsc_app, opsc_ingest;
GRANT SELECT, INSERT, UPDATE ON timesheets TO opsc_app;
GRANT SELECT, INSERT ON timesheet_adjustments TO opsc_app;
GRANT SELECT, INSERT ON timesheets TO opsc_ingest;
GRANT SELECT (timezone, user_id) ON employees TO opsc_ingest;
