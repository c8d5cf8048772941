-- Gateways sign in over MQTT, too, and their clients find their sessions again: tracker_id is that of a tracker or of a
-- gateway.
ALTER TABLE device_sessions DROP CONSTRAINT device_sessions_org_id_tracker_id_fkey;
ALTER TABLE device_sessions ADD FOREIGN KEY (org_id) REFERENCES organizations;

-- A gateway of kind generic forwards JSON of any form: mapping says where its values stand. auto_register: the ids of
-- devices that are registered as they come, with * and ?; NULL: none is.
ALTER TABLE gateways
    DROP CONSTRAINT gateways_kind_check,
    ADD CONSTRAINT gateways_kind_check CHECK (kind IN ('traccar', 'chirpstack', 'tts', 'generic')),
    ADD COLUMN mapping jsonb CHECK (octet_length(mapping::text) <= 8000),
    ADD COLUMN auto_register text COLLATE "C" CHECK (auto_register ~ '^[!-~]([ -~]{0,62}[!-~])?$'),
    ADD CONSTRAINT gateway_has_its_mapping CHECK ((kind = 'generic') = (mapping IS NOT NULL));
GRANT SELECT (mapping) ON gateways TO opsc_listen;
GRANT SELECT (org_id, id, revoked_at, auto_register) ON gateways TO opsc_deliver;
GRANT SELECT (external_id, gateway_id) ON unknown_devices TO opsc_deliver;

-- Trackers that were registered as they came: the gateway. Of an organization 100 in an hour.
ALTER TABLE trackers
    ADD COLUMN registered_by uuid,
    ADD FOREIGN KEY (org_id, registered_by) REFERENCES gateways (org_id, id);
CREATE INDEX trackers_registered_by_gateways ON trackers (org_id, created_at) WHERE registered_by IS NOT NULL;

-- The key that OwnTracks on a phone encrypts with, sealed.
CREATE TABLE tracker_encryption_keys (
    org_id uuid NOT NULL,
    tracker_id uuid NOT NULL UNIQUE,
    key_encrypted bytea NOT NULL CHECK (length(key_encrypted) <= 100),
    PRIMARY KEY (org_id, tracker_id),
    FOREIGN KEY (org_id, tracker_id) REFERENCES trackers (org_id, id)
);
SELECT make_resource('tracker_encryption_keys', audited_as => 'tracker', id_column => 'tracker_id');
GRANT SELECT ON tracker_encryption_keys TO opsc_ingest;
GRANT SELECT, INSERT, UPDATE (key_encrypted), DELETE ON tracker_encryption_keys TO opsc_app;
