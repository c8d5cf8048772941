-- Devices that connect to the listener: who may sign in, what is kept of a session, who is connected.

-- Where the owner of a lease is found by others; NULL: by nobody.
ALTER TABLE leases ADD COLUMN address text CHECK (length(address) BETWEEN 1 AND 500);

-- Sessions ------------------------------------------------------------------------------------

-- What an MQTT client that does not ask for a clean start finds again. Nothing waits for it here: the
-- row says that the session is present, and whether the client had subscribed to receipts.
CREATE TABLE device_sessions (
    org_id uuid NOT NULL,
    tracker_id uuid NOT NULL,
    client_id text COLLATE "C" NOT NULL CHECK (octet_length(client_id) BETWEEN 1 AND 256),
    wants_receipts boolean NOT NULL DEFAULT false,
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (org_id, tracker_id, client_id),
    FOREIGN KEY (org_id, tracker_id) REFERENCES trackers (org_id, id)
);
CREATE INDEX device_sessions_expiry ON device_sessions (expires_at);

-- Connections ---------------------------------------------------------------------------------

-- A listener that runs keeps its row from expiring.
CREATE TABLE listeners (
    id uuid PRIMARY KEY,
    expires_at timestamptz NOT NULL
);

-- The last connection of a tracker. It is open while listener_id is set and that listener lives.
CREATE TABLE device_connections (
    org_id uuid NOT NULL,
    tracker_id uuid NOT NULL,
    listener_id uuid,
    address inet NOT NULL,
    protocol_version smallint NOT NULL CHECK (protocol_version IN (3, 4, 5)),  -- 3: MQTT 3.1
    connected_at timestamptz NOT NULL,
    disconnected_at timestamptz,          -- of this connection, or of the one before
    credential_shared_at timestamptz,     -- when two devices last took turns with one secret
    PRIMARY KEY (org_id, tracker_id),
    FOREIGN KEY (org_id, tracker_id) REFERENCES trackers (org_id, id)
);
CREATE INDEX device_connections_of_listener ON device_connections (listener_id)
    WHERE listener_id IS NOT NULL;

-- Row-level security and rights ---------------------------------------------------------------

DO $$
DECLARE
    tenant_table text;
BEGIN
    FOREACH tenant_table IN ARRAY ARRAY['device_sessions', 'device_connections']
    LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', tenant_table);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', tenant_table);
        EXECUTE format('CREATE POLICY tenant ON %I USING (org_id = (SELECT current_org_id()))',
                       tenant_table);
        EXECUTE format('CREATE POLICY listen ON %I TO opsc_listen USING (true) WITH CHECK (true)',
                       tenant_table);
    END LOOP;
END
$$;
CREATE POLICY listen ON trackers FOR SELECT TO opsc_listen USING (true);

GRANT SELECT (org_id, id, secret_hash, receipts, revoked_at, revision) ON trackers TO opsc_listen;
GRANT SELECT (name, epoch, address, expires_at) ON leases TO opsc_listen;
GRANT SELECT, INSERT, UPDATE, DELETE ON device_sessions, listeners TO opsc_listen;
GRANT SELECT, INSERT, UPDATE ON device_connections TO opsc_listen;
GRANT SELECT ON device_connections, listeners TO opsc_app;
