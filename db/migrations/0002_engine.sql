-- What zones ask for beyond their shape, what assets are, and what ingest remembers of them.

-- Zones ---------------------------------------------------------------------------------------

-- All of it belongs to the version: a fix is judged by the rules in force at its own time.
ALTER TABLE zone_versions
    ADD COLUMN width_m double precision CHECK (width_m > 0),  -- of a corridor
    -- When the zone counts as entered and left: the numbers that were given, the others by default.
    ADD COLUMN rules jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(rules) = 'object'),
    ADD COLUMN schedule jsonb CHECK (jsonb_typeof(schedule) = 'object'),  -- NULL: always
    -- {"ids": [uuid, ...], "tags": [...]}: assets of these ids and assets with any of these tags.
    ADD COLUMN assets jsonb CHECK (jsonb_typeof(assets) = 'object');      -- NULL: all assets

-- Assets --------------------------------------------------------------------------------------

-- The class decides how fast an asset may be before a fix is held to be wrong.
ALTER TABLE assets
    ADD COLUMN asset_class text NOT NULL DEFAULT 'other'
        CHECK (asset_class IN ('vehicle', 'aircraft', 'vessel', 'person', 'other'));

-- Which tags an asset had when: a fix is judged by those in force at its own time, in
-- [valid_from, valid_to). Every asset has one open row; its first is in force since ever.
CREATE TABLE asset_tags (
    org_id uuid NOT NULL,
    asset_id uuid NOT NULL,
    tags text[] NOT NULL CHECK (cardinality(tags) <= 50),
    valid_from timestamptz NOT NULL,
    valid_to timestamptz CHECK (valid_to >= valid_from),
    revision bigint NOT NULL,
    PRIMARY KEY (org_id, asset_id, valid_from),
    FOREIGN KEY (org_id, asset_id) REFERENCES assets (org_id, id)
);
CREATE UNIQUE INDEX asset_has_one_open_row_of_tags ON asset_tags (org_id, asset_id)
    WHERE valid_to IS NULL;
CREATE INDEX asset_tags_revision ON asset_tags (revision);

-- Row-level security is forced on the owner too, who runs this and has no tenant.
ALTER TABLE assets NO FORCE ROW LEVEL SECURITY;
INSERT INTO asset_tags (org_id, asset_id, tags, valid_from, revision)
SELECT org_id, id, '{}', '-infinity', revision FROM assets;
ALTER TABLE assets FORCE ROW LEVEL SECURITY;

-- Visits --------------------------------------------------------------------------------------

ALTER TABLE visits
    ADD COLUMN entry_inferred text CHECK (entry_inferred IN ('segment', 'timer')),
    ADD COLUMN exit_inferred text CHECK (exit_inferred IN ('segment', 'timer')),
    ADD COLUMN dwelled_at timestamptz,  -- the instant of the dwell event; NULL: none was given
    DROP CONSTRAINT visits_entry_cause_check,
    DROP CONSTRAINT visits_exit_cause_check,
    ADD CONSTRAINT visits_entry_cause_check
        CHECK (entry_cause IN ('moved', 'initial', 'zone_changed', 'reassigned')),
    ADD CONSTRAINT visits_exit_cause_check
        CHECK (exit_cause IN ('moved', 'zone_changed', 'reassigned', 'silence')),
    ADD CONSTRAINT visits_exit_inferred_of_an_exit
        CHECK (exit_inferred IS NULL OR left_at IS NOT NULL);

-- What ingest remembers -----------------------------------------------------------------------

-- Of each asset what its open visits and its last fix do not tell, in bytes that ingest alone reads;
-- written in the transaction of the fixes that it comes from.
CREATE TABLE asset_state (
    org_id uuid NOT NULL,
    asset_id uuid NOT NULL,
    state bytea NOT NULL,
    PRIMARY KEY (org_id, asset_id)
);

-- Row-level security and rights ---------------------------------------------------------------

ALTER TABLE asset_tags ENABLE ROW LEVEL SECURITY;
ALTER TABLE asset_tags FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON asset_tags USING (org_id = (SELECT current_org_id()));
ALTER TABLE asset_state ENABLE ROW LEVEL SECURITY;
ALTER TABLE asset_state FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON asset_state USING (org_id = (SELECT current_org_id()));

GRANT SELECT, INSERT, UPDATE (valid_to, revision) ON asset_tags TO opsc_app;
GRANT SELECT ON asset_tags TO opsc_ingest;
GRANT UPDATE (flags) ON gps_events TO opsc_ingest;  -- a suspect fix that proves to be true
GRANT SELECT, INSERT, UPDATE, DELETE ON asset_state TO opsc_ingest;
