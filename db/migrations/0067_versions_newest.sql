-- Versions of all zones, newest first (`GET /v1/zones/versions`).
CREATE INDEX zone_versions_newest ON zone_versions (org_id, valid_from DESC, zone_id DESC);
