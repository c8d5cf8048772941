-- Data that ages: how long an organization keeps it, and what is remembered of what is gone.

-- How long ------------------------------------------------------------------------------------

-- NULL: as long as the installation does. An organization may keep data shorter than that.
ALTER TABLE organizations
    ADD COLUMN positions_days integer CHECK (positions_days BETWEEN 1 AND 36500),
    ADD COLUMN events_days integer CHECK (events_days BETWEEN 1 AND 36500),
    ADD COLUMN audit_days integer CHECK (audit_days BETWEEN 1 AND 36500);

-- Positions -----------------------------------------------------------------------------------

-- Assets that have lost fixes. A late fix is judged from a checkpoint on, with all fixes since: where
-- the checkpoint is older than `before`, some of these may be gone.
CREATE TABLE asset_cuts (
    org_id uuid NOT NULL,
    asset_id uuid NOT NULL,
    before timestamptz NOT NULL,  -- fixes of earlier are gone
    PRIMARY KEY (org_id, asset_id)
);

-- Drops the chunks of fixes that end by then. Only the owner of a hypertable may.
CREATE FUNCTION drop_position_chunks(ended_by timestamptz) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    RETURN (SELECT count(*) FROM drop_chunks('gps_events', older_than => ended_by));
END
$$;

-- Events --------------------------------------------------------------------------------------

-- An event goes with its deliveries: they are found by it, and so is that none is left.
CREATE INDEX webhook_deliveries_of_event ON webhook_deliveries (org_id, event_id);

-- Audit ---------------------------------------------------------------------------------------

-- The last event that was cut off: the chain of those that are kept begins at its hash.
CREATE TABLE audit_anchors (
    org_id uuid PRIMARY KEY REFERENCES organizations,
    seq bigint NOT NULL,
    hash bytea NOT NULL CHECK (length(hash) = 32),
    cut_at timestamptz NOT NULL DEFAULT now()
);

-- Cuts the oldest events of an organization off, up to `most` of those from before; how many it were.
-- The newest one always stays: the next one is chained to it.
CREATE FUNCTION cut_audit(of_org uuid, before timestamptz, most integer) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    newest_seq bigint := (SELECT max(seq) FROM audit_events WHERE org_id = of_org);
    last_seq bigint;
    removed bigint;
BEGIN
    SELECT max(seq) INTO last_seq
      FROM (SELECT seq, bool_and(occurred_at < before) OVER (ORDER BY seq) AS is_old
              FROM (SELECT seq, occurred_at FROM audit_events
                     WHERE org_id = of_org AND seq < newest_seq ORDER BY seq LIMIT most) AS oldest
           ) AS prefix
     WHERE is_old;
    IF last_seq IS NULL THEN RETURN 0; END IF;
    INSERT INTO audit_anchors AS kept (org_id, seq, hash)
    SELECT org_id, seq, hash FROM audit_events WHERE org_id = of_org AND seq = last_seq
        ON CONFLICT (org_id) DO UPDATE
           SET seq = excluded.seq, hash = excluded.hash, cut_at = excluded.cut_at;
    DELETE FROM audit_events WHERE org_id = of_org AND seq <= last_seq;
    GET DIAGNOSTICS removed = ROW_COUNT;
    RETURN removed;
END
$$;

-- Row-level security and rights ---------------------------------------------------------------

DO $$
DECLARE
    tenant_table text;
BEGIN
    FOREACH tenant_table IN ARRAY ARRAY['asset_cuts', 'audit_anchors']
    LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', tenant_table);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', tenant_table);
        EXECUTE format('CREATE POLICY tenant ON %I USING (org_id = (SELECT current_org_id()))',
                       tenant_table);
    END LOOP;
END
$$;
-- For the function above, which runs as the owner.
CREATE POLICY keep ON audit_anchors TO opsc_owner USING (true) WITH CHECK (true);
CREATE POLICY cut ON audit_events FOR DELETE TO opsc_owner USING (true);

REVOKE EXECUTE ON FUNCTION drop_position_chunks, cut_audit FROM PUBLIC;
GRANT EXECUTE ON FUNCTION drop_position_chunks, cut_audit TO opsc_deliver;
GRANT SELECT (positions_days, events_days, audit_days) ON organizations TO opsc_deliver;
GRANT SELECT (id, org_id) ON trackers TO opsc_deliver;
GRANT SELECT (org_id, tracker_id, asset_id, assigned_from, assigned_to) ON tracker_assignments
    TO opsc_deliver;
GRANT SELECT (tracker_id, time, seq), DELETE ON gps_events TO opsc_deliver;
GRANT SELECT (org_id, asset_id, time, seq), DELETE ON asset_checkpoints TO opsc_deliver;
GRANT SELECT, INSERT, UPDATE ON asset_cuts TO opsc_deliver;
GRANT DELETE ON events, webhook_deliveries TO opsc_deliver;
GRANT SELECT ON asset_cuts TO opsc_ingest;
GRANT SELECT ON audit_anchors TO opsc_app;
