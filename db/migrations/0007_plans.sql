-- What an organization's plan has: whether programs may use the API and webhooks, how many requests
-- there may be in a minute, and how many there were.

-- Plans ---------------------------------------------------------------------------------------

-- The API and webhooks belong to the plan `unlimited`, and to the others with the add-on.
ALTER TABLE organizations
    ADD COLUMN api_addon boolean NOT NULL DEFAULT false,
    ADD COLUMN api_access boolean NOT NULL
        GENERATED ALWAYS AS (plan = 'unlimited' OR api_addon) STORED;

GRANT SELECT (api_access) ON organizations TO opsc_deliver;

-- Requests in a minute ------------------------------------------------------------------------

-- One row for each organization whose requests are limited. API processes take tokens from it in
-- blocks. Unlogged: a crash of the server ends the minute early, which does no harm.
CREATE UNLOGGED TABLE request_minutes (
    org_id uuid PRIMARY KEY REFERENCES organizations,
    began_at timestamptz NOT NULL DEFAULT '-infinity',
    taken integer NOT NULL DEFAULT 0 CHECK (taken >= 0),
    spare integer NOT NULL DEFAULT 0 CHECK (spare >= 0),     -- of those, in blocks and not used yet
    spare_until timestamptz NOT NULL DEFAULT '-infinity'     -- by then they are used or back
) WITH (fillfactor = 50);

-- Takes tokens of the tenant's minute: `need` for requests that wait, and up to `extra` to keep for
-- `keep_s`, fewer where few are left. First the block that the caller has from before is settled:
-- the one of the minute that began at `old_began_at`, of which `old_spare` were counted as spare and
-- `old_unused` come back. Without a `need` nothing else is done. A minute begins with its first
-- request and lasts 60 s by the clock of the database, which is read after the row is locked, so
-- that it does not go back from one caller to the next. Where it jumps, another minute begins.
CREATE FUNCTION take_requests(
    per_minute integer, need integer, extra integer, keep_s double precision,
    old_began_at timestamptz, old_spare integer, old_unused integer)
    RETURNS TABLE (began_at timestamptz, left_s double precision, granted integer, kept integer,
                   remaining integer, spare integer, spare_left_s double precision)
    LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    minute request_minutes;
    clock timestamptz;
    age_s double precision;
BEGIN
    INSERT INTO request_minutes (org_id) VALUES (current_org_id()) ON CONFLICT DO NOTHING;
    SELECT * INTO STRICT minute FROM request_minutes AS m
     WHERE m.org_id = current_org_id() FOR UPDATE;
    clock := clock_timestamp();
    age_s := extract(epoch FROM clock - minute.began_at);
    IF age_s >= 60 OR age_s < -60 THEN
        IF need = 0 THEN RETURN; END IF;
        minute.began_at := clock;
        minute.taken := 0;
        minute.spare := 0;
        age_s := 0;
    END IF;
    IF minute.began_at = old_began_at THEN
        minute.taken := greatest(minute.taken - old_unused, 0);
        minute.spare := greatest(minute.spare - old_spare, 0);
    END IF;
    remaining := greatest(per_minute - minute.taken, 0);
    granted := least(need, remaining);
    -- An eighth of what is left: the last ones go one by one, so that none lies about unused.
    kept := greatest(least(extra, (remaining - granted) / 8), 0);
    granted := granted + kept;
    IF kept > 0 THEN
        minute.spare_until := greatest(minute.spare_until, clock + make_interval(secs => keep_s));
    END IF;
    spare := minute.spare;
    UPDATE request_minutes AS m
       SET began_at = minute.began_at, taken = minute.taken + granted,
           spare = minute.spare + kept, spare_until = minute.spare_until
     WHERE m.org_id = minute.org_id;
    began_at := minute.began_at;
    left_s := least(60 - age_s, 60);
    remaining := remaining - granted;
    spare_left_s := greatest(extract(epoch FROM minute.spare_until - clock), 0);
    RETURN NEXT;
END
$$;

-- How many requests there were ------------------------------------------------------------------

-- By programs; those of the dashboard are not counted.
CREATE TABLE request_usage (
    org_id uuid NOT NULL REFERENCES organizations,
    hour timestamptz NOT NULL,  -- when it begins
    requests bigint NOT NULL,   -- let in
    refused bigint NOT NULL,    -- over the limit
    PRIMARY KEY (org_id, hour)
);
CREATE INDEX request_usage_by_hour ON request_usage (hour);

-- Row-level security and rights ---------------------------------------------------------------

DO $$
DECLARE
    tenant_table text;
BEGIN
    FOREACH tenant_table IN ARRAY ARRAY['request_minutes', 'request_usage']
    LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', tenant_table);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', tenant_table);
        EXECUTE format('CREATE POLICY tenant ON %I USING (org_id = (SELECT current_org_id()))',
                       tenant_table);
    END LOOP;
END
$$;

REVOKE EXECUTE ON FUNCTION take_requests FROM PUBLIC;
GRANT EXECUTE ON FUNCTION take_requests TO opsc_app;
GRANT SELECT, INSERT, UPDATE ON request_minutes, request_usage TO opsc_app;
GRANT SELECT, DELETE ON request_usage TO opsc_deliver;
