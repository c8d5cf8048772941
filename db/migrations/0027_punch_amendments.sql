-- Punches are judged again when a late fix or a corrected job site changes what was true of them.

-- The verdicts that were replaced: that of each revision. Nobody changes or removes one.
CREATE TABLE punch_verdicts (
    org_id uuid NOT NULL REFERENCES organizations,
    punch_id uuid NOT NULL,
    revision integer NOT NULL,
    cause text NOT NULL CHECK (cause IN ('late_fix', 'jobsite_changed')),  -- of the replacement
    replaced_at timestamptz NOT NULL DEFAULT now(),
    verdict text NOT NULL CHECK (verdict IN ('verified', 'unverified', 'failed')),
    reasons jsonb NOT NULL CHECK (jsonb_typeof(reasons) = 'array'),
    zone_id uuid,
    zone_version integer,
    site_id uuid,
    distance_m double precision,
    margin_m double precision,
    PRIMARY KEY (org_id, punch_id, revision),
    FOREIGN KEY (org_id, punch_id) REFERENCES punches (org_id, id)
);

-- Work that waits for ingest ------------------------------------------------------------------

-- How far in time the place is from which a leap of the punch was measured: a fix of the employee's
-- tracker that is nearer to the punch's fix is new evidence.
CREATE TABLE punch_evidence (
    org_id uuid NOT NULL,
    punch_id uuid NOT NULL,
    employee_id uuid NOT NULL,
    fix_time timestamptz NOT NULL,
    nearest_s double precision NOT NULL CHECK (nearest_s >= 0),
    is_outdated boolean NOT NULL DEFAULT false,
    PRIMARY KEY (org_id, punch_id),
    FOREIGN KEY (org_id, punch_id) REFERENCES punches (org_id, id)
);
CREATE INDEX punch_evidence_by_fix ON punch_evidence (org_id, employee_id, fix_time);
CREATE INDEX punch_evidence_outdated ON punch_evidence (org_id, punch_id) WHERE is_outdated;

-- Since when the job sites of an organization are others now; the punches behind (next_at, next_id)
-- are to be judged again. One row an organization, so that many corrections are one piece of work.
CREATE TABLE jobsite_corrections (
    org_id uuid PRIMARY KEY REFERENCES organizations,
    next_at timestamptz NOT NULL,
    next_id uuid NOT NULL DEFAULT '00000000-0000-0000-0000-000000000000',
    worked_at timestamptz NOT NULL DEFAULT now()  -- organizations take turns
);
CREATE INDEX punches_by_place_time ON punches (org_id, (coalesce(fix_time, claimed_at)), id)
    WHERE lat IS NOT NULL;

-- Zones that are valid from a time in the past, and zones that a site has from now on, where
-- punches were made in that time.
CREATE FUNCTION note_jobsite_correction() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    since timestamptz;
BEGIN
    IF TG_TABLE_NAME = 'zone_versions' THEN
        since := NEW.valid_from;
    ELSE
        SELECT min(valid_from) INTO since FROM zone_versions
         WHERE org_id = NEW.org_id AND zone_id IN (NEW.zone_id, OLD.zone_id);
    END IF;
    INSERT INTO jobsite_corrections AS known (org_id, next_at)
    SELECT NEW.org_id, since
     WHERE EXISTS (
           SELECT FROM punches WHERE org_id = NEW.org_id AND lat IS NOT NULL
              AND coalesce(fix_time, claimed_at) >= since)
        ON CONFLICT (org_id) DO UPDATE
       SET (next_at, next_id) = ROW (excluded.next_at, excluded.next_id)
     WHERE (known.next_at, known.next_id) > (excluded.next_at, excluded.next_id);
    RETURN NULL;
END
$$;
REVOKE EXECUTE ON FUNCTION note_jobsite_correction FROM PUBLIC;
CREATE TRIGGER corrects_punches AFTER INSERT ON zone_versions
    FOR EACH ROW WHEN (NEW.kind = 'jobsite' AND NEW.valid_from < NEW.created_at)
    EXECUTE FUNCTION note_jobsite_correction();
CREATE TRIGGER corrects_punches AFTER UPDATE OF zone_id ON sites
    FOR EACH ROW WHEN (NEW.zone_id IS DISTINCT FROM OLD.zone_id)
    EXECUTE FUNCTION note_jobsite_correction();

-- Row-level security and rights ---------------------------------------------------------------

ALTER TABLE punch_verdicts ENABLE ROW LEVEL SECURITY;
ALTER TABLE punch_verdicts FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON punch_verdicts USING (org_id = (SELECT current_org_id()));
ALTER TABLE punch_evidence ENABLE ROW LEVEL SECURITY;
ALTER TABLE punch_evidence FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON punch_evidence USING (org_id = (SELECT current_org_id()));
ALTER TABLE jobsite_corrections ENABLE ROW LEVEL SECURITY;
ALTER TABLE jobsite_corrections FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON jobsite_corrections USING (org_id = (SELECT current_org_id()));

GRANT SELECT ON punch_verdicts TO opsc_app;
GRANT SELECT, INSERT ON punch_evidence TO opsc_app;
GRANT SELECT, INSERT (org_id, next_at), UPDATE (next_at, next_id) ON jobsite_corrections TO opsc_app;
GRANT INSERT ON punch_verdicts TO opsc_ingest;
GRANT SELECT, INSERT, UPDATE ON punch_evidence TO opsc_ingest;
GRANT SELECT, UPDATE, DELETE ON jobsite_corrections TO opsc_ingest;
GRANT UPDATE (verdict, reasons, zone_id, zone_version, site_id, distance_m, margin_m, revision)
    ON punches TO opsc_ingest;
