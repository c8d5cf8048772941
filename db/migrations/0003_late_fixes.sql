-- Visits that late fixes amend, and the states of assets from which their past is judged again.

ALTER TABLE visits
    -- So many visits of the zone that the same fix opened were known before; part of the id.
    ADD COLUMN opening_again integer NOT NULL DEFAULT 0 CHECK (opening_again >= 0),
    ADD COLUMN retracted boolean NOT NULL DEFAULT false,  -- it never was, or is part of another
    -- An event told of the end, of the dwell: perhaps of one that does not hold any more.
    ADD COLUMN exit_told boolean NOT NULL DEFAULT false,
    ADD COLUMN dwell_told boolean NOT NULL DEFAULT false;

-- Row-level security is forced on the owner too, who runs this and has no tenant.
ALTER TABLE visits NO FORCE ROW LEVEL SECURITY;
UPDATE visits SET exit_told = left_at IS NOT NULL, dwell_told = dwelled_at IS NOT NULL;
ALTER TABLE visits FORCE ROW LEVEL SECURITY;

DROP INDEX visit_is_open_once;
CREATE UNIQUE INDEX visit_is_open_once ON visits (asset_id, zone_id)
    WHERE left_at IS NULL AND NOT retracted;

-- Where the name of a visit may be used already: only visits that were amended leave their name.
CREATE INDEX visits_amended ON visits (asset_id, opening_time) WHERE revision > 1;

-- What was known of an asset after its fix (time, seq), all fixes up to it taken in, in bytes that
-- ingest alone reads. A fix that comes late is judged from the last of them before it.
CREATE TABLE asset_checkpoints (
    org_id uuid NOT NULL,
    asset_id uuid NOT NULL,
    time timestamptz NOT NULL,
    seq integer NOT NULL,
    state bytea NOT NULL,
    PRIMARY KEY (org_id, asset_id, time, seq)
);

ALTER TABLE asset_checkpoints ENABLE ROW LEVEL SECURITY;
ALTER TABLE asset_checkpoints FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON asset_checkpoints USING (org_id = (SELECT current_org_id()));

GRANT SELECT, INSERT, UPDATE, DELETE ON asset_checkpoints TO opsc_ingest;
