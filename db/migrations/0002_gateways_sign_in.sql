-- The listener signs gateways in, and finds the trackers that their messages are of.
CREATE POLICY listen ON gateways FOR SELECT TO opsc_listen USING (true);
GRANT SELECT (org_id, id, kind, secret_hash, revoked_at, updated_at) ON gateways TO opsc_listen;
GRANT SELECT (external_id) ON trackers TO opsc_listen;
