-- Boxes that are no MQTT clients are shown as connected, too: NULL is the version of such a one.
ALTER TABLE device_connections ALTER COLUMN protocol_version DROP NOT NULL;
