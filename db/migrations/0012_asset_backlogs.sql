-- Assets that got fixes which were stored before: an assignment reaches back to them. Whoever writes
-- the assignment writes the row with it; ingest judges what lies after (time, seq) piece by piece,
-- moves the row on in the transaction of each piece, and removes it when nothing is left.
CREATE TABLE asset_backlogs (
    org_id uuid NOT NULL,
    asset_id uuid NOT NULL,
    time timestamptz NOT NULL,
    seq integer NOT NULL,  -- -1: the fixes at `time` are not judged either
    state bytea,           -- what is known of the asset then, in bytes that ingest alone reads
    revision bigint NOT NULL,
    PRIMARY KEY (org_id, asset_id),
    FOREIGN KEY (org_id, asset_id) REFERENCES assets (org_id, id)
);

ALTER TABLE asset_backlogs ENABLE ROW LEVEL SECURITY;
ALTER TABLE asset_backlogs FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON asset_backlogs USING (org_id = (SELECT current_org_id()));

GRANT SELECT, INSERT, UPDATE ON asset_backlogs TO opsc_app;
GRANT SELECT, UPDATE, DELETE ON asset_backlogs TO opsc_ingest;
