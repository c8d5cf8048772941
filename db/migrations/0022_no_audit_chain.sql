-- Audit events without a chain of hashes, and the requests of a minute without blocks that come back.

-- Audit ---------------------------------------------------------------------------------------

-- The chain made the writers of an organization wait for each other. `seq` now comes from a sequence:
-- it grows, and may have gaps.
DROP FUNCTION audit_hash;
ALTER TABLE audit_events DROP COLUMN hash;
ALTER TABLE audit_events ALTER COLUMN seq ADD GENERATED ALWAYS AS IDENTITY;
SELECT setval(pg_get_serial_sequence('audit_events', 'seq'), max(seq)) FROM audit_events;

-- As in 0008, but for the chain.
CREATE OR REPLACE FUNCTION audit_row() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    before_it jsonb := '{}';
    after_it jsonb := '{}';
    changed jsonb;
    actor jsonb := nullif(current_setting('app.actor', true), '')::jsonb;
BEGIN
    IF TG_OP <> 'INSERT' THEN before_it := to_jsonb(OLD); END IF;
    IF TG_OP <> 'DELETE' THEN after_it := to_jsonb(NEW); END IF;
    SELECT jsonb_object_agg(name, CASE WHEN name ~ '_(hash|encrypted)$' THEN '{"secret": true}'
               ELSE jsonb_build_object('old', audit_value(before_it -> name),
                                       'new', audit_value(after_it -> name)) END)
      INTO changed
      FROM jsonb_object_keys(before_it || after_it) AS name
     WHERE coalesce(before_it -> name, 'null') <> coalesce(after_it -> name, 'null')
       AND name <> ALL ('{org_id,revision,updated_at,last_used_at,name_key,event_seq}');
    IF changed IS NULL THEN RETURN NULL; END IF;
    IF TG_OP = 'DELETE' THEN after_it := before_it; END IF;
    INSERT INTO audit_events (org_id, occurred_at, user_id, via, credential_id, request_id, login,
                              resource_type, resource_id, table_name, action, changes)
    VALUES ((after_it ->> 'org_id')::uuid, clock_timestamp(), (actor ->> 'user_id')::uuid,
            actor ->> 'via', (actor ->> 'credential_id')::uuid, actor ->> 'request_id',
            session_user, TG_ARGV[0], (after_it ->> TG_ARGV[1])::uuid, TG_TABLE_NAME,
            lower(TG_OP), changed);
    RETURN NULL;
END
$$;

-- Old events are removed by opsc_deliver itself: no function of the owner has to anchor the chain.
DROP FUNCTION cut_audit;
DROP TABLE audit_anchors;
DROP POLICY cut ON audit_events;
DROP POLICY look_up ON audit_events;
GRANT SELECT (org_id, seq, occurred_at), DELETE ON audit_events TO opsc_deliver;

-- Requests in a minute ------------------------------------------------------------------------

-- What a process takes stays taken until the minute ends.
DROP FUNCTION take_requests;
ALTER TABLE request_minutes DROP COLUMN spare, DROP COLUMN spare_until;

-- Takes tokens of the tenant's minute: one for a request that waits, and up to `extra`, fewer where
-- few are left. A minute begins with its first request and lasts 60 s by the clock of the database,
-- which is read after the row is locked, so that it does not go back from one caller to the next.
-- Where it jumps, another minute begins.
CREATE FUNCTION take_requests(per_minute integer, extra integer)
    RETURNS TABLE (granted integer, remaining integer, left_s double precision)
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
        minute.began_at := clock;
        minute.taken := 0;
        age_s := 0;
    END IF;
    remaining := greatest(per_minute - minute.taken, 0);
    -- A sixteenth of what is left: the last ones go one by one, so that few lie about unused.
    granted := least(1 + least(extra, remaining / 16), remaining);
    remaining := remaining - granted;
    left_s := least(60 - age_s, 60);
    UPDATE request_minutes AS m SET began_at = minute.began_at, taken = minute.taken + granted
     WHERE m.org_id = minute.org_id;
    RETURN NEXT;
END
$$;
REVOKE EXECUTE ON FUNCTION take_requests FROM PUBLIC;
GRANT EXECUTE ON FUNCTION take_requests TO opsc_app;
