-- The newest position of each asset, for the live map. Ingest keeps the rows beside its batches, at
-- most a second behind them, and derives all of them from the fixes anew when it begins. Every
-- position is rewritten again and again, so pages are half empty and no index covers what changes:
-- the updates are heap-only (HOT).
CREATE TABLE latest_positions (
    org_id uuid NOT NULL,
    asset_id uuid NOT NULL,
    tracker_id uuid,         -- null, as all that follows: no position is known
    time timestamptz,
    seq integer,
    lat double precision,    -- degrees
    lon double precision,
    speed_mps real,
    course_deg real,
    accuracy_m real,
    -- The transaction that wrote the row. A reader asks for the rows of all transactions that were
    -- not over when it looked before, so none is missed in whatever order transactions commit.
    changed_by xid8 NOT NULL DEFAULT pg_current_xact_id(),
    PRIMARY KEY (org_id, asset_id),
    FOREIGN KEY (org_id, asset_id) REFERENCES assets (org_id, id)
) WITH (fillfactor = 50);

ALTER TABLE latest_positions ENABLE ROW LEVEL SECURITY;
ALTER TABLE latest_positions FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON latest_positions USING (org_id = (SELECT current_org_id()));

GRANT SELECT ON latest_positions TO opsc_app;
GRANT SELECT, INSERT, UPDATE ON latest_positions TO opsc_ingest;
-- Retention removes positions whose fix is too old.
GRANT SELECT (org_id, time), DELETE ON latest_positions TO opsc_deliver;
