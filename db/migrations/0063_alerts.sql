-- Alerts: what somebody has to look at. Ingest makes one for each visit that alerts, in the transaction
-- of its events, one for each asset that is in the wrong place when the hours of a zone begin, and one for
-- each that leaves an allowed zone.

-- id: of the visit, or of the event where that has an alert of its own. Names and kind of zone: as they were told.
-- told: what of it was told, each word once. log: who did what, `{at, user_id, state, assigned_to,
-- text}`; user_id is null where ingest did it.
CREATE TABLE alerts (
    org_id uuid NOT NULL REFERENCES organizations,
    id uuid NOT NULL,
    visit_id uuid,
    asset_id uuid NOT NULL,
    asset_name text NOT NULL,
    zone_id uuid NOT NULL,
    zone_name text NOT NULL,
    zone_kind text NOT NULL,
    occurred_at timestamptz NOT NULL,
    lat double precision NOT NULL,
    lon double precision NOT NULL,
    told text[] NOT NULL
        CHECK (told <@ '{enter,exit,dwell,overspeed,schedule_started}' AND told <> '{}'),
    state text NOT NULL DEFAULT 'new'
        CHECK (state IN ('new', 'acknowledged', 'assigned', 'resolved')),
    assigned_to uuid,
    retracted boolean NOT NULL DEFAULT false,
    log jsonb NOT NULL DEFAULT '[]' CHECK (jsonb_typeof(log) = 'array'),
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (org_id, id),
    FOREIGN KEY (org_id, assigned_to) REFERENCES users (org_id, id),
    CONSTRAINT alerts_assigned CHECK (
        CASE state WHEN 'assigned' THEN assigned_to IS NOT NULL
                   WHEN 'resolved' THEN true
                   ELSE assigned_to IS NULL END)
);
CREATE INDEX alerts_newest ON alerts (org_id, created_at DESC, id DESC);
CREATE INDEX alerts_open ON alerts (org_id, created_at DESC, id DESC) WHERE state <> 'resolved';
CREATE INDEX alerts_of_asset ON alerts (org_id, asset_id, created_at DESC, id DESC);
CREATE INDEX alerts_of_zone ON alerts (org_id, zone_id, created_at DESC, id DESC);
CREATE INDEX alerts_of_assignee ON alerts (org_id, assigned_to, created_at DESC, id DESC)
    WHERE assigned_to IS NOT NULL;
CREATE INDEX alerts_of_visit ON alerts (org_id, visit_id) WHERE visit_id IS NOT NULL;

ALTER TABLE alerts ENABLE ROW LEVEL SECURITY;
ALTER TABLE alerts FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON alerts USING (org_id = (SELECT current_org_id()));

GRANT SELECT, INSERT, UPDATE ON alerts TO opsc_ingest;
GRANT SELECT, UPDATE (state, assigned_to, log, updated_at) ON alerts TO opsc_app;
GRANT SELECT, DELETE ON alerts TO opsc_deliver;

-- A log with one more entry: 100 of them at most, of which a new one puts out the oldest. What happens by
-- itself has no more than a state.
CREATE FUNCTION alert_log(log jsonb, state text, entry jsonb DEFAULT '{}') RETURNS jsonb
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
    RETURN CASE WHEN jsonb_array_length(log) < 100 THEN log ELSE log - 0 END
        || (jsonb_build_object('at', now(), 'state', state) || entry);
REVOKE EXECUTE ON FUNCTION alert_log FROM PUBLIC;
GRANT EXECUTE ON FUNCTION alert_log TO opsc_ingest, opsc_app;
