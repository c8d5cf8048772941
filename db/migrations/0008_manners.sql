-- What every resource has: a record of who changed what, answers that are kept for repeated
-- requests, and assets that can be deleted and restored.

-- Audit ---------------------------------------------------------------------------------------

-- One row for each row of a tenant that somebody made, changed or removed, written by the trigger
-- below when the transaction commits. Nobody may change or remove one. `hash` is over the row and the
-- hash before it in the organization, so a row that is changed, left out or put in shows.
CREATE TABLE audit_events (
    org_id uuid NOT NULL,
    seq bigint NOT NULL CHECK (seq >= 1),  -- per organization, without gaps
    occurred_at timestamptz NOT NULL,
    user_id uuid,        -- who; NULL: the system, or its operator
    via text,            -- by a token, an API key or a session
    credential_id uuid,  -- by which
    request_id text,
    login text NOT NULL,  -- the database login that wrote
    resource_type text NOT NULL,
    resource_id uuid NOT NULL,
    table_name text NOT NULL,
    action text NOT NULL CHECK (action IN ('insert', 'update', 'delete')),
    changes jsonb NOT NULL,  -- {column: {"old": ..., "new": ...}}
    hash bytea NOT NULL CHECK (length(hash) = 32),
    PRIMARY KEY (org_id, seq)
);
CREATE INDEX audit_events_of_resource ON audit_events (org_id, resource_id, seq);
CREATE INDEX audit_events_of_user ON audit_events (org_id, user_id, seq);
CREATE INDEX audit_events_by_time ON audit_events (org_id, occurred_at);

-- What the hash of a row must be.
CREATE FUNCTION audit_hash(previous bytea, event audit_events) RETURNS bytea
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN sha256(previous || convert_to(jsonb_build_array(
        event.org_id, event.seq, (extract(epoch FROM event.occurred_at) * 1000000)::bigint,
        event.user_id, event.via, event.credential_id, event.request_id, event.login,
        event.resource_type, event.resource_id, event.table_name, event.action, event.changes
    )::text, 'UTF8'));

-- What of a value is written down: large ones by their hash.
CREATE FUNCTION audit_value(value jsonb) RETURNS jsonb
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE WHEN pg_column_size(value) > 8192 THEN jsonb_build_object(
        'sha256', encode(sha256(convert_to(value::text, 'UTF8')), 'hex'),
        'bytes', octet_length(value::text)) ELSE value END;

-- Arguments: the type of the resource, and the column with its id. Of a secret (a column called
-- ..._hash or ..._encrypted) only that it changed is written down; columns that say nothing of their
-- own are left out.
CREATE FUNCTION audit_row() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    before_it jsonb := '{}';
    after_it jsonb := '{}';
    changed jsonb;
    actor jsonb := nullif(current_setting('app.actor', true), '')::jsonb;
    event audit_events;
    previous bytea;
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
    event.org_id := after_it ->> 'org_id';
    event.user_id := actor ->> 'user_id';
    event.via := actor ->> 'via';
    event.credential_id := actor ->> 'credential_id';
    event.request_id := actor ->> 'request_id';
    event.login := session_user;
    event.resource_type := TG_ARGV[0];
    event.resource_id := after_it ->> TG_ARGV[1];
    event.table_name := TG_TABLE_NAME;
    event.action := lower(TG_OP);
    event.changes := changed;
    -- Writers of an organization take turns from here to the end of their transaction, which holds
    -- all its other locks by now. What follows sees what was committed before it had its turn.
    PERFORM pg_advisory_xact_lock(hashtextextended(event.org_id::text, 8));
    SELECT seq, hash INTO event.seq, previous
      FROM audit_events WHERE org_id = event.org_id ORDER BY seq DESC LIMIT 1;
    event.seq := coalesce(event.seq, 0) + 1;
    event.occurred_at := clock_timestamp();
    event.hash := audit_hash(coalesce(previous, ''), event);
    INSERT INTO audit_events SELECT event.*;
    RETURN NULL;
END
$$;

-- Has the rows of a table written down, as changes of a resource. `actions`: other than all, where a
-- removal is only tidying up.
CREATE FUNCTION audit(tenant_table regclass, resource_type text, id_column text,
                      actions text DEFAULT 'INSERT OR UPDATE OR DELETE')
    RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format(
        'CREATE CONSTRAINT TRIGGER audit AFTER %s ON %s'
        ' DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION audit_row(%L, %L)',
        actions, tenant_table, resource_type, id_column);
END
$$;
REVOKE EXECUTE ON FUNCTION audit_row, audit FROM PUBLIC;

SELECT audit('organizations', 'organization', 'org_id'),
       audit('users', 'user', 'id'),
       audit('user_links', 'user', 'user_id', 'INSERT'),
       audit('sign_ins', 'sign_in', 'id', 'INSERT OR UPDATE'),
       audit('api_keys', 'api_key', 'id'),
       audit('assets', 'asset', 'id'),
       audit('asset_tags', 'asset', 'asset_id'),
       audit('trackers', 'tracker', 'id'),
       audit('tracker_assignments', 'tracker', 'tracker_id'),
       audit('zones', 'zone', 'id'),
       audit('zone_versions', 'zone', 'zone_id'),
       audit('webhook_endpoints', 'webhook_endpoint', 'id');

-- Answers that are kept ------------------------------------------------------------------------

-- A POST with an Idempotency-Key has its answer written here in its own transaction. While it runs
-- it holds an advisory lock.
CREATE TABLE idempotency_keys (
    org_id uuid NOT NULL REFERENCES organizations,
    operation text NOT NULL,
    key text NOT NULL CHECK (length(key) BETWEEN 1 AND 255),
    fingerprint bytea NOT NULL CHECK (length(fingerprint) = 32),  -- of who asked what
    answer_encrypted bytea NOT NULL,  -- it may have a secret that is shown once
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (org_id, operation, key)
);
CREATE INDEX idempotency_keys_newest ON idempotency_keys (org_id, created_at DESC);
CREATE INDEX idempotency_keys_by_end ON idempotency_keys (expires_at);

-- Assets ---------------------------------------------------------------------------------------

-- A deleted asset keeps its history, and can be restored; its external_id is free.
ALTER TABLE assets
    ADD COLUMN deleted_at timestamptz,
    DROP CONSTRAINT assets_org_id_external_id_key;
CREATE UNIQUE INDEX assets_external_id ON assets (org_id, external_id) WHERE deleted_at IS NULL;

-- Row-level security and rights ----------------------------------------------------------------

ALTER TABLE audit_events ENABLE ROW LEVEL SECURITY;
ALTER TABLE audit_events FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON audit_events USING (org_id = (SELECT current_org_id()));
-- The trigger runs as the owner, and also for those who act for all organizations; the operator
-- verifies all of them.
CREATE POLICY look_up ON audit_events FOR SELECT TO opsc_owner USING (true);
CREATE POLICY append ON audit_events FOR INSERT TO opsc_owner WITH CHECK (true);
ALTER TABLE idempotency_keys ENABLE ROW LEVEL SECURITY;
ALTER TABLE idempotency_keys FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON idempotency_keys USING (org_id = (SELECT current_org_id()));

GRANT SELECT ON audit_events TO opsc_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON idempotency_keys TO opsc_app;
GRANT SELECT (org_id, operation, key, expires_at), DELETE ON idempotency_keys TO opsc_deliver;
