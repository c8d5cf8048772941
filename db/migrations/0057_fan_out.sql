-- Numbers first, deliveries after them: how far the deliveries of each organization are made, and from
-- where on an endpoint gets events.

-- seq: of the last event whose deliveries are made. An organization has its row since its first endpoint.
CREATE TABLE webhook_cursors (
    org_id uuid PRIMARY KEY REFERENCES organizations,
    seq bigint NOT NULL CHECK (seq >= 0)
) WITH (fillfactor = 50);

-- event_seq: of the organization when the endpoint became active, the last time. It gets what is above.
ALTER TABLE webhook_endpoints
    ADD COLUMN event_seq bigint NOT NULL DEFAULT 0,
    DROP CONSTRAINT webhook_endpoints_disabled_reason_check,
    ADD CONSTRAINT webhook_endpoints_disabled_reason_check
        CHECK (disabled_reason IN ('user', 'failures', 'gone', 'backlog'));

-- Whoever makes deliveries locks the cursor, and looks at endpoints after that. So none is passed over
-- whose transaction has read a number and not yet committed.
CREATE FUNCTION begin_endpoint() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    INSERT INTO webhook_cursors (org_id, seq)
    SELECT org_id, organizations.event_seq FROM organizations WHERE org_id = NEW.org_id
        ON CONFLICT DO NOTHING;
    PERFORM FROM webhook_cursors WHERE org_id = NEW.org_id FOR SHARE;
    SELECT organizations.event_seq INTO STRICT NEW.event_seq
      FROM organizations WHERE org_id = NEW.org_id;
    RETURN NEW;
END
$$;
REVOKE EXECUTE ON FUNCTION begin_endpoint FROM PUBLIC;

-- What there is has all of its deliveries. Row-level security is forced on the owner too, who runs
-- this and has no tenant.
ALTER TABLE webhook_endpoints NO FORCE ROW LEVEL SECURITY;
ALTER TABLE organizations NO FORCE ROW LEVEL SECURITY;
INSERT INTO webhook_cursors (org_id, seq)
SELECT org_id, event_seq FROM organizations
 WHERE org_id IN (SELECT org_id FROM webhook_endpoints);
UPDATE webhook_endpoints AS p SET event_seq = o.event_seq
  FROM organizations AS o WHERE o.org_id = p.org_id;
ALTER TABLE webhook_endpoints FORCE ROW LEVEL SECURITY;
ALTER TABLE organizations FORCE ROW LEVEL SECURITY;

CREATE TRIGGER begin_new BEFORE INSERT ON webhook_endpoints
    FOR EACH ROW EXECUTE FUNCTION begin_endpoint();
CREATE TRIGGER begin_anew BEFORE UPDATE OF state, deleted_at ON webhook_endpoints FOR EACH ROW
    WHEN (NEW.state = 'active' AND NEW.deleted_at IS NULL
          AND (OLD.state <> 'active' OR OLD.deleted_at IS NOT NULL))
    EXECUTE FUNCTION begin_endpoint();

-- Events that wait for their seq are found by organization, so that all of them take turns.
DROP INDEX events_without_seq;
CREATE INDEX events_without_seq ON events (org_id, position) WHERE seq IS NULL AND NOT is_test;

-- Row-level security and rights ---------------------------------------------------------------

ALTER TABLE webhook_cursors ENABLE ROW LEVEL SECURITY;
ALTER TABLE webhook_cursors FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON webhook_cursors USING (org_id = (SELECT current_org_id()));
-- The trigger runs as the owner, and also for those who act for all organizations.
CREATE POLICY keep ON webhook_cursors TO opsc_owner USING (true) WITH CHECK (true);
GRANT SELECT, UPDATE (seq) ON webhook_cursors TO opsc_deliver;
