-- Points of an uploaded track say so until they are judged: in the inbox, as stored fixes, and where an asset waits
-- (docs/decisions/0049-events-of-uploads.md). Bits of flags: 8 uploaded, 16 its events go to no webhook endpoint.
ALTER TABLE inbox ADD COLUMN fix_flags smallint NOT NULL DEFAULT 0;
ALTER TABLE asset_backlogs ADD COLUMN flags smallint NOT NULL DEFAULT 0;

-- Whether endpoints get the event.
ALTER TABLE events ADD COLUMN for_webhooks boolean NOT NULL DEFAULT true;
GRANT INSERT (for_webhooks) ON events TO opsc_app, opsc_deliver;

-- When gateways sent their last message; the listener writes it every few seconds.
CREATE TABLE gateway_sightings (
    org_id uuid NOT NULL,
    gateway_id uuid NOT NULL,
    last_seen_at timestamptz NOT NULL,
    PRIMARY KEY (org_id, gateway_id),
    FOREIGN KEY (org_id, gateway_id) REFERENCES gateways (org_id, id)
);
SELECT make_tenant_table('gateway_sightings');
CREATE POLICY listen ON gateway_sightings TO opsc_listen USING (true) WITH CHECK (true);
GRANT SELECT ON gateway_sightings TO opsc_app;
GRANT SELECT, INSERT, UPDATE (last_seen_at) ON gateway_sightings TO opsc_listen;
