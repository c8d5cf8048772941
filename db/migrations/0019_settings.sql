-- Settings by which an organization's fixes and punches are judged, and speed limits of zones.

-- Settings ------------------------------------------------------------------------------------

-- NULL, and what is not in an object: the default of the program.
ALTER TABLE organizations
    ADD COLUMN rules jsonb NOT NULL DEFAULT '{}',          -- of zones that do not give them
    ADD COLUMN max_accuracy_m double precision CHECK (max_accuracy_m > 0),
    ADD COLUMN max_speed_mps jsonb NOT NULL DEFAULT '{}',  -- by class of asset
    ADD COLUMN punch_tolerance_m double precision CHECK (punch_tolerance_m >= 0),
    ADD COLUMN revision bigint NOT NULL DEFAULT 0;         -- of their last change; 0: none yet

ALTER TABLE zone_versions
    ADD COLUMN punch_tolerance_m double precision CHECK (punch_tolerance_m >= 0);

GRANT UPDATE (rules, max_accuracy_m, max_speed_mps, punch_tolerance_m, revision) ON organizations
    TO opsc_app;

-- Speed limits --------------------------------------------------------------------------------

ALTER TABLE visits
    -- When a fix inside first stated a speed above the zone's limit; NULL: none did.
    ADD COLUMN overspeed_at timestamptz,
    ADD COLUMN overspeed_lat double precision,
    ADD COLUMN overspeed_lon double precision,
    ADD COLUMN overspeed_mps real,                             -- which speed
    ADD COLUMN overspeed_told boolean NOT NULL DEFAULT false;  -- an event told of one
