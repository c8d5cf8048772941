-- Settings of an organization by which punches are judged, and lists of punches.

-- NULL, and what is not in the object: the default of the program.
ALTER TABLE organizations
    -- What becomes of hours with punches that are not verified: flag, allow or block.
    ADD COLUMN punch_policy text CHECK (punch_policy IN ('flag', 'allow', 'block')),
    ADD COLUMN punch_rules jsonb NOT NULL DEFAULT '{}'  -- numbers of the rules
        CHECK (jsonb_typeof(punch_rules) = 'object');

GRANT UPDATE (punch_policy, punch_rules) ON organizations TO opsc_app;

CREATE INDEX punches_of_verdict ON punches (org_id, verdict, claimed_at DESC, id DESC);
CREATE INDEX punches_of_site ON punches (org_id, site_id, claimed_at DESC, id DESC)
    WHERE site_id IS NOT NULL;
