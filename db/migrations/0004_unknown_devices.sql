-- Devices that would send and are not let in: the ids that gateways forward and that no tracker has, and failed
-- sign-ins that name a tracker. The listener writes them, 1,000 of an organization at most; those that were seen
-- longest ago go.
CREATE TABLE unknown_devices (
    org_id uuid NOT NULL REFERENCES organizations,
    id uuid NOT NULL,
    external_id text COLLATE "C" CHECK (external_id ~ '^[!-~]([ -~]{0,62}[!-~])?$'),  -- NULL: of a tracker
    tracker_id uuid,
    reason text NOT NULL CHECK (reason IN ('not_registered', 'wrong_secret', 'revoked')),
    gateway_id uuid,  -- by which it came last; NULL: it signed in itself
    protocol text NOT NULL CHECK (length(protocol) BETWEEN 1 AND 20),
    format text CHECK (length(format) BETWEEN 1 AND 20),  -- NULL: it sent nothing yet
    seen bigint NOT NULL CHECK (seen > 0),
    lat double precision,
    lon double precision,
    position_time timestamptz,  -- as the device says
    first_seen_at timestamptz NOT NULL,
    last_seen_at timestamptz NOT NULL,
    PRIMARY KEY (org_id, id),
    UNIQUE NULLS NOT DISTINCT (org_id, external_id, tracker_id),
    FOREIGN KEY (org_id, tracker_id) REFERENCES trackers (org_id, id),
    FOREIGN KEY (org_id, gateway_id) REFERENCES gateways (org_id, id),
    CONSTRAINT unknown_device_has_one_name CHECK (num_nonnulls(external_id, tracker_id) = 1),
    CONSTRAINT unknown_device_has_its_reason CHECK ((reason = 'not_registered') = (tracker_id IS NULL)),
    CONSTRAINT unknown_device_has_a_whole_position CHECK (num_nonnulls(lat, lon, position_time) IN (0, 3))
);
CREATE INDEX unknown_devices_last_seen ON unknown_devices (org_id, last_seen_at DESC, id DESC);
SELECT make_tenant_table('unknown_devices');
CREATE POLICY listen ON unknown_devices TO opsc_listen USING (true) WITH CHECK (true);
GRANT SELECT, UPDATE (reason), DELETE ON unknown_devices TO opsc_app;  -- UPDATE: to lock a row
GRANT SELECT, INSERT, UPDATE, DELETE ON unknown_devices TO opsc_listen;
GRANT SELECT (org_id, id, last_seen_at), DELETE ON unknown_devices TO opsc_deliver;

-- A device that is registered, however, is unknown no longer.
CREATE FUNCTION forget_unknown_device() RETURNS trigger
    LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM unknown_devices WHERE org_id = NEW.org_id AND external_id = NEW.external_id;
    RETURN NULL;
END
$$;
REVOKE EXECUTE ON FUNCTION forget_unknown_device FROM PUBLIC;
CREATE TRIGGER forget_unknown_device AFTER INSERT OR UPDATE OF external_id ON trackers
    FOR EACH ROW WHEN (NEW.external_id IS NOT NULL) EXECUTE FUNCTION forget_unknown_device();
