-- The schema on one page, in the order in which a person would read it.
--
-- `opsc migrate` makes a new database of it, as opsc_owner, and then applies what `db/migrations/` has.
-- Before it run `bootstrap.sql`, which makes extensions and roles, and `make_resource.sql`, whose two
-- functions give the tables of tenants what they have in common.
--
-- A table with org_id is of tenants: org_id is in its primary, unique and foreign keys, and row-level
-- security is enabled and forced. The API comes as opsc_app, which owns nothing. A role may do what it is
-- granted and no more: what a row is made with and never changes is in no grant of UPDATE.
--
-- What concurrency could break between rows is held here: keys, uniqueness, exclusion, levels that are the
-- sums of movements, lots that add up to a level. Transitions and permissions are held by the application
-- (`docs/decisions/0035-rules-in-one-place.md`).

-- The tenant of a transaction ---------------------------------------------------------------------

-- It is set by CALL: `bootstrap.sql` takes set_config() away from the API's role. What is smuggled into one
-- of its statements runs inside that statement, and CALL, like SET, is a statement of its own. PostgreSQL
-- takes one statement at a time in the protocol that the API speaks.

-- The tenant of the running transaction; none before act_for() or read_for().
CREATE FUNCTION current_org_id() RETURNS uuid
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN nullif(current_setting('app.org_id', true), '')::uuid;

-- Makes an organization the tenant of the running transaction, and notes the author of its changes.
CREATE PROCEDURE act_for(of_org uuid, actor text)
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM set_config('app.org_id', of_org::text, true), set_config('app.actor', actor, true);
END
$$;
REVOKE EXECUTE ON PROCEDURE act_for FROM PUBLIC;
GRANT EXECUTE ON PROCEDURE act_for TO opsc_app, opsc_ingest, opsc_listen, opsc_deliver;

-- Makes an organization the tenant of the running transaction, which only reads.
CREATE PROCEDURE read_for(of_org uuid)
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM set_config('app.org_id', of_org::text, true),
            set_config('transaction_read_only', 'on', true);
END
$$;
REVOKE EXECUTE ON PROCEDURE read_for FROM PUBLIC;
GRANT EXECUTE ON PROCEDURE read_for TO opsc_app, opsc_ingest, opsc_listen, opsc_deliver;

-- Sets one of our settings that choose nothing, until the transaction ends: how many rows a table may
-- have (`count_row`), and that the transaction changes zones (`db/core/registry_revision.py`).
CREATE FUNCTION say(setting text, value text) RETURNS text
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF starts_with(setting, 'app.quota_') OR setting = 'app.is_changing' THEN
        RETURN set_config(setting, value, true);
    END IF;
    RAISE insufficient_privilege USING MESSAGE = format('%s is not set by say()', setting);
END
$$;
REVOKE EXECUTE ON FUNCTION say FROM PUBLIC;
GRANT EXECUTE ON FUNCTION say TO opsc_app, opsc_ingest, opsc_listen, opsc_deliver;

-- A UUID version 7 of the time of the transaction: rows in the order of their ids are in the order
-- of their making, and new ones come to the end of the index.
CREATE FUNCTION uuid7_of_now() RETURNS uuid
    LANGUAGE sql VOLATILE AS $$
    SELECT encode(set_bit(set_bit(overlay(uuid_send(gen_random_uuid()) PLACING
               substring(int8send(floor(extract(epoch FROM now()) * 1000)::bigint) FROM 3)
               FROM 1 FOR 6), 52, 1), 53, 1), 'hex')::uuid
$$;

-- The UUID behind an id such as ast_01jd8x0k2m4n6p8q0r2s4t6v8w; NULL where the text is none.
CREATE FUNCTION uuid_of_id(id text) RETURNS uuid
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
    SELECT string_agg(lpad(to_hex(substr(bits.text, 3 + 8 * byte, 8)::bit(8)::integer), 2, '0'), ''
                      ORDER BY byte)::uuid
      FROM (SELECT string_agg(
                       (strpos('0123456789abcdefghjkmnpqrstvwxyz', digit) - 1)::bit(5)::text, ''
                       ORDER BY place) AS text
              FROM regexp_split_to_table(split_part(id, '_', 2), '') WITH ORDINALITY
                   AS digits (digit, place)) AS bits
     CROSS JOIN generate_series(0, 15) AS byte
     WHERE id ~ '^[a-z]+_[0-7][0-9a-hjkmnp-tv-z]{25}$'
$$;

-- What tables of tenants have in common -----------------------------------------------------------

-- The functions behind the triggers that `make_resource` makes.

-- A row that was changed or removed, into the audit trail. Arguments: the kind of resource, and the
-- column with its id. Of a secret (a column called ..._hash or ..._encrypted) only that it changed
-- is written down; columns that say nothing of their own are left out. `audit_value` is called for
-- large values alone: it took a third of the time.
CREATE FUNCTION audit_row() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    is_removal constant boolean := TG_OP = 'DELETE';
    kept constant jsonb := CASE WHEN is_removal THEN to_jsonb(OLD) ELSE to_jsonb(NEW) END;
    other constant jsonb := CASE TG_OP WHEN 'UPDATE' THEN to_jsonb(OLD) ELSE '{}' END;
    changed jsonb;
    actor constant jsonb := nullif(current_setting('app.actor', true), '')::jsonb;
BEGIN
    SELECT jsonb_object_agg(
               name,
               CASE WHEN name LIKE '%\_hash' OR name LIKE '%\_encrypted' THEN '{"secret": true}'
               ELSE jsonb_build_object(
                   CASE WHEN is_removal THEN 'old' ELSE 'new' END,
                   CASE WHEN pg_column_size(value) > 8192 THEN audit_value(value) ELSE value END,
                   CASE WHEN is_removal THEN 'new' ELSE 'old' END,
                   CASE WHEN pg_column_size(other -> name) > 8192
                        THEN audit_value(other -> name) ELSE other -> name END) END)
      INTO changed
      FROM jsonb_each(kept) AS each (name, value)
     WHERE value <> coalesce(other -> name, 'null')
       AND name <> ALL ('{org_id,revision,updated_at,last_used_at,name_key,event_seq}');
    IF changed IS NULL THEN RETURN NULL; END IF;
    INSERT INTO audit_events (org_id, occurred_at, user_id, via, credential_id, request_id, login,
                              resource_type, resource_id, table_name, action, changes)
    VALUES ((kept ->> 'org_id')::uuid, clock_timestamp(), (actor ->> 'user_id')::uuid,
            actor ->> 'via', (actor ->> 'credential_id')::uuid, actor ->> 'request_id',
            session_user, TG_ARGV[0], (kept ->> TG_ARGV[1])::uuid, TG_TABLE_NAME,
            lower(TG_OP), changed);
    RETURN NULL;
END
$$;
REVOKE EXECUTE ON FUNCTION audit_row FROM PUBLIC;

-- The new rows of a statement, as `audit_row` has one.
CREATE FUNCTION audit_new_rows() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    actor constant jsonb := nullif(current_setting('app.actor', true), '')::jsonb;
BEGIN
    INSERT INTO audit_events (org_id, occurred_at, user_id, via, credential_id, request_id, login,
                              resource_type, resource_id, table_name, action, changes)
    SELECT (kept ->> 'org_id')::uuid, clock_timestamp(), (actor ->> 'user_id')::uuid,
           actor ->> 'via', (actor ->> 'credential_id')::uuid, actor ->> 'request_id',
           session_user, TG_ARGV[0], (kept ->> TG_ARGV[1])::uuid, TG_TABLE_NAME, 'insert', changed
      FROM (SELECT to_jsonb(new_row) AS kept FROM new_rows AS new_row) AS new_one,
           LATERAL (
               SELECT jsonb_object_agg(
                          name,
                          CASE WHEN name LIKE '%\_hash' OR name LIKE '%\_encrypted' THEN '{"secret": true}'
                          ELSE jsonb_build_object(
                              'new',
                              CASE WHEN pg_column_size(value) > 8192 THEN audit_value(value) ELSE value END,
                              'old', NULL) END) AS changed
                 FROM jsonb_each(kept) AS each (name, value)
                WHERE value <> 'null'
                  AND name <> ALL ('{org_id,revision,updated_at,last_used_at,name_key,event_seq}')
           ) AS seen
     WHERE changed IS NOT NULL;
    RETURN NULL;
END
$$;
REVOKE EXECUTE ON FUNCTION audit_new_rows FROM PUBLIC;

-- What of a value is written down: large ones by their hash.
CREATE FUNCTION audit_value(value jsonb) RETURNS jsonb
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE WHEN pg_column_size(value) > 8192 THEN jsonb_build_object(
        'sha256', encode(sha256(convert_to(value::text, 'UTF8')), 'hex'),
        'bytes', octet_length(value::text)) ELSE value END;

-- Arguments: how many more rows there are, and how many more are stored. No transaction that has
-- said how many rows there may be (`app.quota_` and the table) commits more. Writers take turns
-- here, when their transactions end, so none passes another.
CREATE FUNCTION count_row() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    most constant bigint := nullif(current_setting('app.quota_' || TG_TABLE_NAME, true), '');
    stored_now bigint;
BEGIN
    INSERT INTO row_counts AS kept (org_id, table_name, rows, stored)
    VALUES (coalesce(NEW.org_id, OLD.org_id), TG_TABLE_NAME, TG_ARGV[0]::bigint, TG_ARGV[1]::bigint)
    ON CONFLICT (org_id, table_name) DO UPDATE
       SET rows = kept.rows + excluded.rows, stored = kept.stored + excluded.stored
    RETURNING stored INTO stored_now;
    IF TG_ARGV[1]::bigint > 0 AND stored_now > most THEN
        RAISE check_violation USING CONSTRAINT = 'quota_exceeded', TABLE = TG_TABLE_NAME,
            DETAIL = most, MESSAGE = format('there is room for %s %s', most, TG_TABLE_NAME);
    END IF;
    RETURN NULL;
END
$$;
REVOKE EXECUTE ON FUNCTION count_row FROM PUBLIC;

-- Writes the terms of a row that has none. Codes: found as a whole first.
CREATE FUNCTION write_search_terms(
    of_org uuid, of_kind text, of_row uuid, codes text[], names text[]
) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    most constant integer := 12;  -- words of a text
    longest constant integer := 60;  -- characters of a term
    contents constant text[] := codes || names;
    places smallint[] := '{}';
    terms text[] := '{}';
    rest text COLLATE pg_c_utf8;
    behind text COLLATE pg_c_utf8;
BEGIN
    FOR number IN 1 .. cardinality(contents) LOOP
        CONTINUE WHEN contents[number] IS NULL;
        rest := btrim(regexp_replace(lower(contents[number] COLLATE pg_c_utf8), '\s+', ' ', 'g'));
        CONTINUE WHEN rest = '';
        places := places || (number > coalesce(cardinality(codes), 0))::integer::smallint;
        terms := terms || left(rest, longest);
        FOR word IN 2 .. most LOOP
            behind := regexp_replace(rest, '^[[:alnum:]]*[^[:alnum:]]+', '');
            EXIT WHEN behind = '' OR behind = rest;
            rest := behind;
            places := places || 2::smallint;
            terms := terms || left(rest, longest);
        END LOOP;
    END LOOP;
    INSERT INTO search_terms (org_id, kind, place, term, row_id)
    SELECT of_org, of_kind, place, term, of_row
      FROM unnest(places, terms) AS made (place, term)
    ON CONFLICT DO NOTHING;
END
$$;
REVOKE EXECUTE ON FUNCTION write_search_terms FROM PUBLIC;

-- Arguments: the kind, and the columns of codes and those of names, with commas.
CREATE FUNCTION keep_search_terms() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    new_row constant jsonb := to_jsonb(NEW);
    codes text[] := string_to_array(TG_ARGV[1], ',');
    names text[] := string_to_array(TG_ARGV[2], ',');
BEGIN
    IF TG_OP = 'UPDATE' THEN
        DELETE FROM search_terms WHERE org_id = NEW.org_id AND row_id = NEW.id;
    END IF;
    IF new_row ->> 'deleted_at' IS NULL THEN
        FOR place IN 1 .. cardinality(codes) LOOP
            codes[place] := new_row ->> codes[place];
        END LOOP;
        FOR place IN 1 .. cardinality(names) LOOP
            names[place] := new_row ->> names[place];
        END LOOP;
        PERFORM write_search_terms(NEW.org_id, TG_ARGV[0], NEW.id, codes, names);
    END IF;
    RETURN NULL;
END
$$;
REVOKE EXECUTE ON FUNCTION keep_search_terms FROM PUBLIC;

-- Organizations -----------------------------------------------------------------------------------

CREATE TABLE organizations (
    org_id uuid PRIMARY KEY,
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
    plan text NOT NULL DEFAULT 'unlimited' CHECK (plan IN ('starter', 'team', 'unlimited')),
    event_seq bigint NOT NULL DEFAULT 0,  -- the last seq given to an event
    -- The API and webhooks belong to the plan `unlimited`, and to the others with the add-on.
    api_addon boolean NOT NULL DEFAULT false,
    api_access boolean NOT NULL
        GENERATED ALWAYS AS (plan = 'unlimited' OR api_addon) STORED,
    timezone text NOT NULL DEFAULT 'UTC' CHECK (length(timezone) BETWEEN 1 AND 64),
    -- NULL: as long as the installation does. An organization may keep data shorter than that.
    positions_days integer CHECK (positions_days BETWEEN 1 AND 36500),
    events_days integer CHECK (events_days BETWEEN 1 AND 36500),
    audit_days integer CHECK (audit_days BETWEEN 1 AND 36500),
    -- NULL, and what is not in an object: the default of the program.
    rules jsonb NOT NULL DEFAULT '{}',  -- of zones that do not give them
    max_accuracy_m double precision CHECK (max_accuracy_m > 0),
    max_speed_mps jsonb NOT NULL DEFAULT '{}',  -- by class of asset
    punch_tolerance_m double precision CHECK (punch_tolerance_m >= 0),
    -- As far as they were given (`db/hours/rules.py`).
    timesheet_rules jsonb NOT NULL DEFAULT '{}'
        CHECK (jsonb_typeof(timesheet_rules) = 'object'),
    -- What becomes of hours with punches that are not verified: flag, allow or block.
    punch_policy text CHECK (punch_policy IN ('flag', 'allow', 'block')),
    punch_rules jsonb NOT NULL DEFAULT '{}'  -- numbers of the rules
        CHECK (jsonb_typeof(punch_rules) = 'object'),
    address text CHECK (length(address) BETWEEN 1 AND 500),
    logo_sha256 bytea CHECK (length(logo_sha256) = 32),  -- of the logo that there is
    -- Of the office: replies and accepted quotes go there.
    email text CHECK (length(email) BETWEEN 3 AND 254),
    language text CHECK (language IN ('en', 'de')),  -- NULL: not chosen, and English
    -- Whether the live map has employees: off until an admin turns it on.
    shows_employees boolean NOT NULL DEFAULT false,
    revision bigint NOT NULL DEFAULT 0,  -- of the last change of these settings; 0: none yet
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);
SELECT make_resource('organizations', audited_as => 'organization', id_column => 'org_id');
-- The operator's commands list the organizations, as the owner, on whom row-level security is forced.
CREATE POLICY look_up ON organizations FOR SELECT TO opsc_owner USING (true);
GRANT SELECT, UPDATE (name, timezone, updated_at, rules, max_accuracy_m, max_speed_mps,
    punch_tolerance_m, revision, timesheet_rules, punch_policy, punch_rules, address, logo_sha256,
    email, language, shows_employees) ON organizations TO opsc_app;
GRANT SELECT ON organizations TO opsc_ingest;
GRANT SELECT (org_id, name, plan, event_seq, api_access, timezone, positions_days, events_days,
    audit_days, email, language), UPDATE (event_seq) ON organizations TO opsc_deliver;

-- One row for each row of a tenant that somebody made, changed or removed. The application may not
-- change or remove one.
CREATE TABLE audit_events (
    org_id uuid NOT NULL,
    seq bigint GENERATED ALWAYS AS IDENTITY CHECK (seq >= 1),  -- grows, and may have gaps
    occurred_at timestamptz NOT NULL,
    user_id uuid,  -- who; NULL: the system, or its operator
    via text,  -- by a token, an API key or a session
    credential_id uuid,  -- by which
    request_id text,
    login text NOT NULL,  -- the database login that wrote
    resource_type text NOT NULL,
    resource_id uuid NOT NULL,
    table_name text NOT NULL,
    action text NOT NULL CHECK (action IN ('insert', 'update', 'delete')),
    changes jsonb NOT NULL,  -- {column: {"old": ..., "new": ...}}
    PRIMARY KEY (org_id, seq)
);
CREATE INDEX audit_events_of_resource ON audit_events (org_id, resource_id, seq);
CREATE INDEX audit_events_of_user ON audit_events (org_id, user_id, seq);
CREATE INDEX audit_events_by_time ON audit_events (org_id, occurred_at);
SELECT make_tenant_table('audit_events');
-- The triggers run as the owner, and also for those who act for all organizations.
CREATE POLICY append ON audit_events FOR INSERT TO opsc_owner WITH CHECK (true);
GRANT SELECT ON audit_events TO opsc_app;
GRANT SELECT (org_id, seq, occurred_at), DELETE ON audit_events TO opsc_deliver;

-- rows: as many as a list without filters shows. stored: with those that are deleted, which quotas
-- count. One row for each organization and table; no row: none was ever made.
CREATE TABLE row_counts (
    org_id uuid NOT NULL REFERENCES organizations,
    table_name text NOT NULL,
    rows bigint NOT NULL,
    stored bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (org_id, table_name)
) WITH (fillfactor = 50);
SELECT make_tenant_table('row_counts');
-- The trigger runs as the owner, and also for those who act for all organizations.
CREATE POLICY keep ON row_counts TO opsc_owner USING (true) WITH CHECK (true);
GRANT SELECT ON row_counts TO opsc_app;

-- A text is found by the first letters of each of its words: a row for the whole text, and one for
-- what follows from each further word on. place: 0 for a number, an id of the organization's own or
-- an address as a whole, 1 for a name as a whole, 2 from a further word on. Under row-level security
-- only comparisons byte by byte use an index, so neither trigrams nor full text search would.
CREATE TABLE search_terms (
    org_id uuid NOT NULL,
    kind text COLLATE "C" NOT NULL CHECK (length(kind) BETWEEN 1 AND 50),
    place smallint NOT NULL CHECK (place BETWEEN 0 AND 2),
    term text COLLATE "C" NOT NULL CHECK (length(term) BETWEEN 1 AND 60),
    row_id uuid NOT NULL,
    PRIMARY KEY (org_id, kind, place, term, row_id)
);
CREATE INDEX search_terms_of_row ON search_terms (org_id, row_id, term);
SELECT make_tenant_table('search_terms');
-- The triggers run as the owner, and also for those who act for all organizations.
CREATE POLICY keep ON search_terms TO opsc_owner USING (true) WITH CHECK (true);
GRANT SELECT ON search_terms TO opsc_app;

-- most: what an organization may have in place of what its plan says (`db/resources/quotas.py`).
CREATE TABLE organization_quotas (
    org_id uuid NOT NULL REFERENCES organizations,
    quota text NOT NULL CHECK (length(quota) BETWEEN 1 AND 63),
    most bigint NOT NULL CHECK (most >= 0),
    PRIMARY KEY (org_id, quota)
);
SELECT make_resource('organization_quotas', audited_as => 'organization', id_column => 'org_id');
GRANT SELECT ON organization_quotas TO opsc_app;

-- The last number that an organization gave to a kind of thing. The row is locked by the transaction
-- that takes a number, so a number is never given twice.
CREATE TABLE number_counters (
    org_id uuid NOT NULL REFERENCES organizations,
    kind text NOT NULL CHECK (length(kind) BETWEEN 1 AND 50),
    last bigint NOT NULL CHECK (last >= 0),
    PRIMARY KEY (org_id, kind)
);
SELECT make_tenant_table('number_counters');
GRANT SELECT, INSERT, UPDATE (last) ON number_counters TO opsc_app;

-- Copies of a logo without metadata: `content` for documents, `thumb` for the customer's page.
CREATE TABLE organization_logos (
    org_id uuid PRIMARY KEY REFERENCES organizations,
    media_type text NOT NULL CHECK (media_type IN ('image/jpeg', 'image/png')),
    width_px integer NOT NULL CHECK (width_px BETWEEN 1 AND 1000),
    height_px integer NOT NULL CHECK (height_px BETWEEN 1 AND 1000),
    content bytea STORAGE EXTERNAL NOT NULL CHECK (length(content) BETWEEN 1 AND 1048576),
    thumb bytea STORAGE EXTERNAL NOT NULL CHECK (length(thumb) BETWEEN 1 AND 200000)
);
SELECT make_tenant_table('organization_logos');
GRANT SELECT, INSERT, UPDATE, DELETE ON organization_logos TO opsc_app;

-- How many letters the users of an organization asked for on its last such day, in UTC.
CREATE TABLE letter_counts (
    org_id uuid PRIMARY KEY REFERENCES organizations,
    day date NOT NULL,
    letters integer NOT NULL CHECK (letters > 0)
);
SELECT make_tenant_table('letter_counts');
GRANT SELECT, INSERT, UPDATE ON letter_counts TO opsc_app;

-- Whether open connections of programs may stay: asked for all organizations of a process at once.
CREATE FUNCTION api_access_of(of_orgs uuid[]) RETURNS TABLE (org_id uuid, api_access boolean)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT o.org_id, o.api_access FROM public.organizations o WHERE o.org_id = ANY (of_orgs);
END;
REVOKE EXECUTE ON FUNCTION api_access_of FROM PUBLIC;
GRANT EXECUTE ON FUNCTION api_access_of TO opsc_app;

-- The newest seq of several organizations at once, for the live feed of an API process: ids in,
-- numbers out. What an organization's events say is read under row-level security as ever.
CREATE FUNCTION event_seqs(of_orgs uuid[]) RETURNS TABLE (org_id uuid, event_seq bigint)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT o.org_id, o.event_seq FROM public.organizations o WHERE o.org_id = ANY (of_orgs);
END;
REVOKE EXECUTE ON FUNCTION event_seqs FROM PUBLIC;
GRANT EXECUTE ON FUNCTION event_seqs TO opsc_app;

-- Those of these organizations that show their employees, for open connections of many of them.
CREATE FUNCTION showing_employees(of_orgs uuid[]) RETURNS TABLE (org_id uuid)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT o.org_id FROM public.organizations o
     WHERE o.org_id = ANY (of_orgs) AND o.shows_employees;
END;
REVOKE EXECUTE ON FUNCTION showing_employees FROM PUBLIC;
GRANT EXECUTE ON FUNCTION showing_employees TO opsc_app;

-- Users and their credentials ---------------------------------------------------------------------

-- Secrets are 256 random bits; only their SHA-256 is stored, which tells nothing of them.

CREATE TABLE users (
    org_id uuid NOT NULL REFERENCES organizations,
    id uuid NOT NULL,
    email text NOT NULL CHECK (email = lower(email) AND length(email) BETWEEN 3 AND 254),
    name text CHECK (length(name) BETWEEN 1 AND 200),
    password_hash text,  -- NULL: invited, and has not accepted yet
    role text NOT NULL CHECK (role IN ('admin', 'dispatcher', 'technician', 'viewer')),
    is_service boolean NOT NULL DEFAULT false,  -- a user of programs: has API keys, and no password
    -- NULL: not chosen. language: that of the organization then; units: metric; clock: the usual
    -- one of the language; timezone: that of the browser.
    language text CHECK (language IN ('en', 'de')),
    units text CHECK (units IN ('metric', 'imperial')),
    clock text CHECK (clock IN ('24', '12')),
    timezone text CHECK (length(timezone) BETWEEN 1 AND 64),
    deactivated_at timestamptz,  -- set: may do nothing, and neither may their keys
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (org_id, id),
    UNIQUE (org_id, email),
    CONSTRAINT users_service CHECK (NOT is_service OR password_hash IS NULL)
);
CREATE INDEX users_newest ON users (org_id, created_at DESC, id DESC);
CREATE INDEX users_email ON users (email);
SELECT make_resource('users', audited_as => 'user', counted => true, codes => 'email',
    names => 'name');
CREATE POLICY look_up ON users FOR SELECT TO opsc_owner USING (true);
GRANT SELECT, INSERT, UPDATE (password_hash, role, name, deactivated_at, updated_at, language,
    units, clock, timezone) ON users TO opsc_app;
GRANT SELECT (org_id, id, email, password_hash, role, created_at, name, deactivated_at, language)
    ON users TO opsc_deliver;

-- One row for each time somebody signed in. Access tokens and refresh tokens (kind `token`) and the
-- cookie of the dashboard (kind `session`) are good no longer than their row.
CREATE TABLE sign_ins (
    org_id uuid NOT NULL REFERENCES organizations,
    id uuid NOT NULL,
    user_id uuid NOT NULL,
    kind text NOT NULL CHECK (kind IN ('token', 'session')),
    secret_hash bytea UNIQUE CHECK (length(secret_hash) = 32),  -- of the cookie
    created_at timestamptz NOT NULL DEFAULT now(),
    last_used_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,  -- whatever happens
    ended_at timestamptz,
    PRIMARY KEY (org_id, id),
    FOREIGN KEY (org_id, user_id) REFERENCES users (org_id, id),
    CHECK ((kind = 'session') = (secret_hash IS NOT NULL))
);
CREATE INDEX sign_ins_of_user ON sign_ins (org_id, user_id, created_at DESC)
    WHERE ended_at IS NULL;
CREATE INDEX sign_ins_by_end ON sign_ins (expires_at);
CREATE INDEX sign_ins_ended ON sign_ins (ended_at) WHERE ended_at IS NOT NULL;
SELECT make_resource('sign_ins', audited_as => 'sign_in', audited_on => 'INSERT OR UPDATE');
CREATE POLICY look_up ON sign_ins FOR SELECT TO opsc_owner USING (true);
GRANT SELECT, INSERT, UPDATE (last_used_at, ended_at) ON sign_ins TO opsc_app;
GRANT SELECT, DELETE ON sign_ins TO opsc_deliver;

-- Each refresh token is used once and followed by the next. Used ones stay as long as they could
-- still be tried: one that comes again shows that somebody else has it.
CREATE TABLE refresh_tokens (
    org_id uuid NOT NULL,
    token_hash bytea NOT NULL UNIQUE CHECK (length(token_hash) = 32),
    sign_in_id uuid NOT NULL,
    expires_at timestamptz NOT NULL,
    used_at timestamptz,
    PRIMARY KEY (org_id, token_hash),
    FOREIGN KEY (org_id, sign_in_id) REFERENCES sign_ins (org_id, id) ON DELETE CASCADE
);
CREATE INDEX refresh_tokens_of_sign_in ON refresh_tokens (org_id, sign_in_id);
CREATE INDEX refresh_tokens_by_end ON refresh_tokens (expires_at);
SELECT make_tenant_table('refresh_tokens');
CREATE POLICY look_up ON refresh_tokens FOR SELECT TO opsc_owner USING (true);
GRANT SELECT, INSERT, UPDATE (used_at) ON refresh_tokens TO opsc_app;
GRANT SELECT, DELETE ON refresh_tokens TO opsc_deliver;

CREATE TABLE api_keys (
    org_id uuid NOT NULL REFERENCES organizations,
    id uuid NOT NULL,
    user_id uuid NOT NULL,  -- as whom the key acts
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
    scopes text[] CHECK (cardinality(scopes) BETWEEN 1 AND 100),  -- NULL: all that the user may
    secret_hash bytea NOT NULL UNIQUE CHECK (length(secret_hash) = 32),
    last4 text NOT NULL CHECK (length(last4) = 4),
    made_by uuid,  -- who saw the secret, since they made the key or rotated it; NULL: not known
    previous_hash bytea UNIQUE CHECK (length(previous_hash) = 32),
    previous_expires_at timestamptz,
    previous_made_by uuid,  -- who saw the one before
    expires_at timestamptz,
    last_used_at timestamptz,  -- to the minute
    revoked_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (org_id, id),
    FOREIGN KEY (org_id, user_id) REFERENCES users (org_id, id),
    CHECK ((previous_hash IS NULL) = (previous_expires_at IS NULL)),
    FOREIGN KEY (org_id, made_by) REFERENCES users (org_id, id),
    FOREIGN KEY (org_id, previous_made_by) REFERENCES users (org_id, id)
);
CREATE INDEX api_keys_newest ON api_keys (org_id, created_at DESC, id DESC)
    WHERE revoked_at IS NULL;
SELECT make_resource('api_keys', audited_as => 'api_key', counted => true, gone_at => 'revoked_at');
CREATE POLICY look_up ON api_keys FOR SELECT TO opsc_owner USING (true);
GRANT SELECT, INSERT, UPDATE (secret_hash, last4, previous_hash, previous_expires_at, updated_at,
    last_used_at, revoked_at, made_by, previous_made_by) ON api_keys TO opsc_app;

-- What an invitation or a password reset carries: good once, and not for long.
CREATE TABLE user_links (
    org_id uuid NOT NULL,
    token_hash bytea NOT NULL UNIQUE CHECK (length(token_hash) = 32),
    user_id uuid NOT NULL,
    purpose text NOT NULL CHECK (purpose IN ('invitation', 'password_reset')),
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (org_id, token_hash),
    FOREIGN KEY (org_id, user_id) REFERENCES users (org_id, id)
);
CREATE INDEX user_links_of_user ON user_links (org_id, user_id);
CREATE INDEX user_links_by_end ON user_links (expires_at);
SELECT make_resource('user_links', audited_as => 'user', id_column => 'user_id',
    audited_on => 'INSERT');
CREATE POLICY look_up ON user_links FOR SELECT TO opsc_owner USING (true);
GRANT SELECT, DELETE ON user_links TO opsc_app;
GRANT SELECT, INSERT, DELETE ON user_links TO opsc_deliver;

-- A hash or ids in, ids out, before the organization is known. `users.deactivated_at` may lie
-- ahead: the rights last until then.
CREATE FUNCTION caller_of_api_key(hash bytea)
    RETURNS TABLE (org_id uuid, user_id uuid, credential_id uuid, role text, scopes text[],
                   expires_at timestamptz, made_by uuid)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT k.org_id, k.user_id, k.id, u.role, k.scopes,
           CASE WHEN k.secret_hash = hash THEN k.expires_at
                ELSE least(k.expires_at, k.previous_expires_at) END,
           CASE WHEN k.secret_hash = hash THEN k.made_by ELSE k.previous_made_by END
      FROM public.api_keys k
      JOIN public.users u ON u.org_id = k.org_id AND u.id = k.user_id
     WHERE (k.secret_hash = hash OR (k.previous_hash = hash AND k.previous_expires_at > now()))
       AND k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > now())
       AND (u.deactivated_at IS NULL OR u.deactivated_at > now());
END;
REVOKE EXECUTE ON FUNCTION caller_of_api_key FROM PUBLIC;
GRANT EXECUTE ON FUNCTION caller_of_api_key TO opsc_app;

CREATE FUNCTION caller_of_session(hash bytea, idle interval)
    RETURNS TABLE (org_id uuid, user_id uuid, credential_id uuid, role text, scopes text[],
                   expires_at timestamptz, made_by uuid)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT s.org_id, s.user_id, s.id, u.role, NULL::text[],
           least(s.expires_at, s.last_used_at + idle), NULL::uuid
      FROM public.sign_ins s
      JOIN public.users u ON u.org_id = s.org_id AND u.id = s.user_id
     WHERE s.secret_hash = hash AND s.ended_at IS NULL AND s.expires_at > now()
       AND s.last_used_at + idle > now()
       AND (u.deactivated_at IS NULL OR u.deactivated_at > now());
END;
REVOKE EXECUTE ON FUNCTION caller_of_session FROM PUBLIC;
GRANT EXECUTE ON FUNCTION caller_of_session TO opsc_app;

CREATE FUNCTION caller_of_sign_in(of_org uuid, of_sign_in uuid)
    RETURNS TABLE (org_id uuid, user_id uuid, credential_id uuid, role text, scopes text[],
                   expires_at timestamptz, made_by uuid)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT s.org_id, s.user_id, s.id, u.role, NULL::text[], s.expires_at, NULL::uuid
      FROM public.sign_ins s
      JOIN public.users u ON u.org_id = s.org_id AND u.id = s.user_id
     WHERE s.org_id = of_org AND s.id = of_sign_in AND s.kind = 'token' AND s.ended_at IS NULL
       AND s.expires_at > now() AND (u.deactivated_at IS NULL OR u.deactivated_at > now());
END;
REVOKE EXECUTE ON FUNCTION caller_of_sign_in FROM PUBLIC;
GRANT EXECUTE ON FUNCTION caller_of_sign_in TO opsc_app;

-- The organization in which somebody with this address can sign in; null where there is none, or
-- more than one. A user who was only invited does not count, so that an invitation of another
-- organization changes nothing for anybody.
CREATE FUNCTION org_of_email(address text) RETURNS uuid
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT CASE WHEN count(*) = 1 THEN (array_agg(u.org_id))[1] END
      FROM public.users u
     WHERE u.email = address AND u.password_hash IS NOT NULL
       AND (u.deactivated_at IS NULL OR u.deactivated_at > now());
END;
REVOKE EXECUTE ON FUNCTION org_of_email FROM PUBLIC;
GRANT EXECUTE ON FUNCTION org_of_email TO opsc_app;

CREATE FUNCTION org_of_refresh_token(hash bytea) RETURNS uuid
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT t.org_id FROM public.refresh_tokens t WHERE t.token_hash = hash;
END;
REVOKE EXECUTE ON FUNCTION org_of_refresh_token FROM PUBLIC;
GRANT EXECUTE ON FUNCTION org_of_refresh_token TO opsc_app;

CREATE FUNCTION org_of_user_link(hash bytea) RETURNS uuid
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT l.org_id FROM public.user_links l WHERE l.token_hash = hash;
END;
REVOKE EXECUTE ON FUNCTION org_of_user_link FROM PUBLIC;
GRANT EXECUTE ON FUNCTION org_of_user_link TO opsc_app;

-- How often signing in failed of late, by what it is counted for: an address, a user, a user at an
-- address. The key is a keyed hash of it, so the table names nobody. Lost in a crash, which does no
-- harm.
CREATE UNLOGGED TABLE sign_in_failures (
    key bytea PRIMARY KEY CHECK (length(key) = 32),
    failures double precision NOT NULL,
    counted_at timestamptz NOT NULL,
    blocked_until timestamptz NOT NULL,
    was_admitted boolean NOT NULL,  -- the last try
    trusted_until timestamptz  -- of a user at an address: they signed in there
);
CREATE INDEX sign_in_failures_oldest ON sign_in_failures (counted_at);
GRANT SELECT, INSERT, UPDATE, DELETE ON sign_in_failures TO opsc_app;
GRANT SELECT, DELETE ON sign_in_failures TO opsc_deliver;

-- Requests ----------------------------------------------------------------------------------------

-- One row for each organization whose requests are limited. API processes take tokens from it in
-- blocks. Unlogged: a crash of the server ends the minute early, which does no harm.
CREATE UNLOGGED TABLE request_minutes (
    org_id uuid PRIMARY KEY REFERENCES organizations,
    began_at timestamptz NOT NULL DEFAULT '-infinity',
    taken integer NOT NULL DEFAULT 0 CHECK (taken >= 0)
) WITH (fillfactor = 50);
SELECT make_tenant_table('request_minutes');
GRANT SELECT, INSERT, UPDATE ON request_minutes TO opsc_app;

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

-- By programs; those of the dashboard are not counted.
CREATE TABLE request_usage (
    org_id uuid NOT NULL REFERENCES organizations,
    hour timestamptz NOT NULL,  -- when it begins
    requests bigint NOT NULL,  -- let in
    refused bigint NOT NULL,  -- over the limit
    PRIMARY KEY (org_id, hour)
);
CREATE INDEX request_usage_by_hour ON request_usage (hour);
SELECT make_tenant_table('request_usage');
GRANT SELECT, INSERT, UPDATE ON request_usage TO opsc_app;
GRANT SELECT, DELETE ON request_usage TO opsc_deliver;

-- A POST with an Idempotency-Key has its answer written here in its own transaction. While it runs
-- it holds an advisory lock.
CREATE TABLE idempotency_keys (
    org_id uuid NOT NULL REFERENCES organizations,
    operation text NOT NULL,
    key text NOT NULL CHECK (length(key) BETWEEN 1 AND 255),
    fingerprint bytea NOT NULL CHECK (length(fingerprint) = 32),  -- of who asked what
    answer_encrypted bytea NOT NULL,  -- it may have a secret that is shown once
    expires_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (org_id, operation, key)
);
CREATE INDEX idempotency_keys_newest ON idempotency_keys (org_id, created_at DESC);
CREATE INDEX idempotency_keys_by_end ON idempotency_keys (expires_at);
SELECT make_tenant_table('idempotency_keys');
GRANT SELECT, INSERT, UPDATE, DELETE ON idempotency_keys TO opsc_app;
GRANT SELECT (org_id, operation, key, expires_at), DELETE ON idempotency_keys TO opsc_deliver;

-- Clients, zones and sites ------------------------------------------------------------------------

-- Names are looked for by their first letters. A function over a column is not leakproof, so under
-- row-level security no index on it could be used: the folded name is a column of its own, compared
-- byte by byte.

CREATE TABLE clients (
    org_id uuid NOT NULL REFERENCES organizations,
    id uuid NOT NULL,
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
    name_key text COLLATE "C" NOT NULL
        GENERATED ALWAYS AS (lower(name COLLATE pg_c_utf8)) STORED,
    external_id text CHECK (length(external_id) BETWEEN 1 AND 200),
    email text CHECK (length(email) BETWEEN 3 AND 254),
    phone text CHECK (length(phone) BETWEEN 1 AND 50),
    address text CHECK (length(address) BETWEEN 1 AND 500),
    notes text CHECK (length(notes) BETWEEN 1 AND 10000),
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    deleted_at timestamptz,
    PRIMARY KEY (org_id, id)
);
CREATE UNIQUE INDEX clients_external_id ON clients (org_id, external_id) WHERE deleted_at IS NULL;
CREATE INDEX clients_newest ON clients (org_id, created_at DESC, id DESC);
CREATE INDEX clients_name ON clients (org_id, name_key);
SELECT make_resource('clients', audited_as => 'client', counted => true, gone_at => 'deleted_at',
    codes => 'external_id,email', names => 'name');
GRANT SELECT, INSERT, UPDATE ON clients TO opsc_app;
GRANT SELECT (org_id, id, name, email, address) ON clients TO opsc_deliver;

-- One row. A change of anything that a decision depends on (zones, trackers, assignments, assets)
-- raises it while holding the row; each ingest transaction reads it FOR SHARE. Rows that changed
-- carry the number of their last change, so that ingest reads only what is new to it.
CREATE TABLE zones_revision (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    revision bigint NOT NULL
);
INSERT INTO zones_revision (revision) VALUES (0);
GRANT SELECT, UPDATE ON zones_revision TO opsc_app, opsc_ingest;

CREATE TABLE zones (
    org_id uuid NOT NULL REFERENCES organizations,
    id uuid NOT NULL,
    external_id text CHECK (length(external_id) BETWEEN 1 AND 200),
    version integer NOT NULL,  -- the newest
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    deleted_at timestamptz,
    PRIMARY KEY (org_id, id)
);
CREATE UNIQUE INDEX zones_external_id ON zones (org_id, external_id) WHERE deleted_at IS NULL;
CREATE INDEX zones_newest ON zones (org_id, created_at DESC, id DESC) WHERE deleted_at IS NULL;
SELECT make_resource('zones', audited_as => 'zone', counted => true, gone_at => 'deleted_at');
GRANT SELECT, INSERT, UPDATE ON zones TO opsc_app;
GRANT SELECT ON zones TO opsc_ingest;

-- The geometries of zones, apart from their versions: written before the revision is taken, so that
-- nobody waits for megabytes, once for all versions that have the same, and never changed.
CREATE TABLE zone_shapes (
    org_id uuid NOT NULL REFERENCES organizations,
    geometry_sha256 bytea NOT NULL CHECK (length(geometry_sha256) = 32),  -- of its text
    geometry json NOT NULL,  -- the GeoJSON geometry as it was given
    -- The shape that was read from it: well-known binary, without the radius of a circle and the width
    -- of a corridor, which stand in the versions.
    shape bytea STORAGE EXTERNAL NOT NULL,
    PRIMARY KEY (org_id, geometry_sha256)
);
SELECT make_tenant_table('zone_shapes');
GRANT SELECT, INSERT ON zone_shapes TO opsc_app;
GRANT SELECT ON zone_shapes TO opsc_ingest;

-- A fix is judged by the version in force at the fix's own time, [valid_from, valid_to), with all
-- that belongs to it.
CREATE TABLE zone_versions (
    org_id uuid NOT NULL,
    zone_id uuid NOT NULL,
    version integer NOT NULL CHECK (version >= 1),
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
    name_key text COLLATE "C" NOT NULL
        GENERATED ALWAYS AS (lower(name COLLATE pg_c_utf8)) STORED,
    kind text NOT NULL CHECK (kind IN ('restricted', 'allowed', 'jobsite', 'yard', 'other')),
    geometry_sha256 bytea NOT NULL,  -- of the shape in `zone_shapes`
    shape_bytes integer NOT NULL CHECK (shape_bytes > 0),  -- its length
    radius_m double precision CHECK (radius_m > 0),
    width_m double precision CHECK (width_m > 0),  -- of a corridor
    -- west, south, east, north in degrees; east is not below west, and beyond 180 where the zone
    -- lies over that meridian. NULL: not known.
    box double precision[] CHECK (cardinality(box) = 4),
    alert_on text[] CHECK (alert_on <@ ARRAY['enter', 'exit', 'pass_through']),  -- NULL: by kind
    -- When the zone counts as entered and left: the numbers that were given, the others by default.
    rules jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(rules) = 'object'),
    schedule jsonb CHECK (jsonb_typeof(schedule) = 'object'),  -- NULL: always
    -- {"ids": [uuid, ...], "tags": [...]}: assets of these ids and assets with any of these tags.
    assets jsonb CHECK (jsonb_typeof(assets) = 'object'),  -- NULL: all assets
    punch_tolerance_m double precision CHECK (punch_tolerance_m >= 0),
    valid_from timestamptz NOT NULL,
    valid_to timestamptz CHECK (valid_to >= valid_from),
    created_at timestamptz NOT NULL DEFAULT now(),
    revision bigint NOT NULL,
    made_revision bigint,  -- the first one of the row; NULL: not known
    PRIMARY KEY (org_id, zone_id, version),
    FOREIGN KEY (org_id, zone_id) REFERENCES zones (org_id, id),
    FOREIGN KEY (org_id, geometry_sha256) REFERENCES zone_shapes (org_id, geometry_sha256)
);
CREATE UNIQUE INDEX zone_has_one_open_version ON zone_versions (org_id, zone_id)
    WHERE valid_to IS NULL;
CREATE INDEX zone_versions_revision ON zone_versions (revision);
CREATE INDEX zone_versions_name ON zone_versions (org_id, name_key) WHERE valid_to IS NULL;
CREATE INDEX zone_versions_box ON zone_versions (org_id, (box[4]), (box[2])) WHERE valid_to IS NULL;
-- Those that were changed since a revision, and those that ended since an instant.
CREATE INDEX jobsites_revision ON zone_versions (org_id, revision) WHERE kind = 'jobsite';
CREATE INDEX jobsites_ended ON zone_versions (org_id, valid_to) WHERE kind = 'jobsite';
-- Versions of all zones, newest first (`GET /v1/zones/versions`).
CREATE INDEX zone_versions_newest ON zone_versions (org_id, valid_from DESC, zone_id DESC);
SELECT make_resource('zone_versions', audited_as => 'zone', id_column => 'zone_id');
GRANT SELECT, INSERT, UPDATE ON zone_versions TO opsc_app;
GRANT SELECT ON zone_versions TO opsc_ingest;

-- The name of a zone stands in its newest version, and a zone that is deleted is not found. The
-- first version of a zone, of which many are made at once, neither looks for terms of before nor
-- for the newest version.
CREATE FUNCTION keep_zone_search_terms() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    of_zone uuid;
    code text;
BEGIN
    IF TG_TABLE_NAME = 'zone_versions' AND NEW.version = 1 THEN
        SELECT external_id INTO code FROM zones WHERE org_id = NEW.org_id AND id = NEW.zone_id;
        PERFORM write_search_terms(NEW.org_id, 'zone', NEW.zone_id, ARRAY[code], ARRAY[NEW.name]);
        RETURN NULL;
    END IF;
    IF TG_TABLE_NAME = 'zones' THEN of_zone := NEW.id; ELSE of_zone := NEW.zone_id; END IF;
    DELETE FROM search_terms WHERE org_id = NEW.org_id AND row_id = of_zone;
    PERFORM write_search_terms(
                zones.org_id, 'zone', zones.id, ARRAY[zones.external_id], ARRAY[newest.name])
       FROM zones
       JOIN zone_versions AS newest ON newest.org_id = zones.org_id AND newest.zone_id = zones.id
        AND newest.version = zones.version
      WHERE zones.org_id = NEW.org_id AND zones.id = of_zone AND zones.deleted_at IS NULL;
    RETURN NULL;
END
$$;
REVOKE EXECUTE ON FUNCTION keep_zone_search_terms FROM PUBLIC;

CREATE TRIGGER search_insert AFTER INSERT ON zone_versions FOR EACH ROW
    EXECUTE FUNCTION keep_zone_search_terms();

CREATE TRIGGER search_update AFTER UPDATE ON zones FOR EACH ROW
    WHEN (OLD.external_id IS DISTINCT FROM NEW.external_id
          OR OLD.deleted_at IS DISTINCT FROM NEW.deleted_at
          OR OLD.version IS DISTINCT FROM NEW.version)
    EXECUTE FUNCTION keep_zone_search_terms();

CREATE TABLE sites (
    org_id uuid NOT NULL REFERENCES organizations,
    id uuid NOT NULL,
    client_id uuid,  -- NULL: the organization's own
    zone_id uuid,  -- its geofence
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
    name_key text COLLATE "C" NOT NULL
        GENERATED ALWAYS AS (lower(name COLLATE pg_c_utf8)) STORED,
    external_id text CHECK (length(external_id) BETWEEN 1 AND 200),
    address text CHECK (length(address) BETWEEN 1 AND 500),
    lat double precision CHECK (lat BETWEEN -90 AND 90),
    lon double precision CHECK (lon BETWEEN -180 AND 180),
    notes text CHECK (length(notes) BETWEEN 1 AND 10000),
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    deleted_at timestamptz,
    PRIMARY KEY (org_id, id),
    FOREIGN KEY (org_id, client_id) REFERENCES clients (org_id, id),
    FOREIGN KEY (org_id, zone_id) REFERENCES zones (org_id, id),
    CHECK ((lat IS NULL) = (lon IS NULL))
);
CREATE UNIQUE INDEX sites_external_id ON sites (org_id, external_id) WHERE deleted_at IS NULL;
CREATE INDEX sites_newest ON sites (org_id, created_at DESC, id DESC);
CREATE INDEX sites_name ON sites (org_id, name_key);
CREATE INDEX sites_of_client ON sites (org_id, client_id) WHERE client_id IS NOT NULL;
CREATE INDEX sites_of_zone ON sites (org_id, zone_id) WHERE zone_id IS NOT NULL;
SELECT make_resource('sites', audited_as => 'site', counted => true, gone_at => 'deleted_at',
    codes => 'external_id', names => 'name,address');
GRANT SELECT, INSERT, UPDATE ON sites TO opsc_app;
GRANT SELECT ON sites TO opsc_ingest;

-- Employees ---------------------------------------------------------------------------------------

-- certifications: [{"name", "number", "issued_on", "expires_on"}, ...]; the first day on which one
-- of them expires stands beside them, where an index finds it.
-- punch_by: what the employee may punch with. punch_site_ids: where; NULL: at any jobsite.
CREATE TABLE employees (
    org_id uuid NOT NULL REFERENCES organizations,
    id uuid NOT NULL,
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
    name_key text COLLATE "C" NOT NULL
        GENERATED ALWAYS AS (lower(name COLLATE pg_c_utf8)) STORED,
    external_id text CHECK (length(external_id) BETWEEN 1 AND 200),
    role text CHECK (length(role) BETWEEN 1 AND 200),
    email text CHECK (length(email) BETWEEN 3 AND 254),
    phone text CHECK (length(phone) BETWEEN 1 AND 50),
    user_id uuid,
    address text CHECK (length(address) BETWEEN 1 AND 500),
    timezone text CHECK (length(timezone) BETWEEN 1 AND 64),  -- NULL: the organization's
    certifications jsonb NOT NULL DEFAULT '[]' CHECK (jsonb_typeof(certifications) = 'array'),
    first_expires_on date,
    punch_by text[] NOT NULL DEFAULT '{}' CHECK (punch_by <@ ARRAY['terminal', 'tracker', 'phone']),
    punch_site_ids uuid[] CHECK (cardinality(punch_site_ids) BETWEEN 1 AND 1000),
    active boolean NOT NULL DEFAULT true,
    -- left_on: the last day, in their time zone. Punches that are credited to a later time do not count.
    -- active: false from the moment in which somebody says so; it stays true for those who leave at the
    -- end of a day.
    left_on date,
    hourly_cost_cents bigint CHECK (hourly_cost_cents BETWEEN 0 AND 1000000000),
    currency text CHECK (currency ~ '^[A-Z]{3}$'),  -- of the hourly cost
    emergency_contact_name text CHECK (length(emergency_contact_name) BETWEEN 1 AND 200),
    emergency_contact_phone text CHECK (length(emergency_contact_phone) BETWEEN 1 AND 50),
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    deleted_at timestamptz,
    PRIMARY KEY (org_id, id),
    FOREIGN KEY (org_id, user_id) REFERENCES users (org_id, id),
    CONSTRAINT employees_cost CHECK ((hourly_cost_cents IS NULL) = (currency IS NULL))
);
CREATE UNIQUE INDEX employees_external_id ON employees (org_id, external_id)
    WHERE deleted_at IS NULL;
CREATE UNIQUE INDEX employees_user ON employees (org_id, user_id) WHERE deleted_at IS NULL;
CREATE INDEX employees_newest ON employees (org_id, created_at DESC, id DESC);
CREATE INDEX employees_name ON employees (org_id, name_key);
CREATE INDEX employees_expiring ON employees (org_id, first_expires_on)
    WHERE first_expires_on IS NOT NULL;
SELECT make_resource('employees', audited_as => 'employee', counted => true,
    gone_at => 'deleted_at', codes => 'external_id,email', names => 'name');
-- Who records a punch locks its employee, which takes a right to update a column.
GRANT SELECT, INSERT, UPDATE ON employees TO opsc_app;
GRANT SELECT (org_id, id, name, user_id, punch_by, punch_site_ids, active, deleted_at, timezone,
    left_on), UPDATE (updated_at) ON employees TO opsc_ingest;

-- Whether somebody of this organization is employed now.
CREATE FUNCTION is_employed(of_org uuid, active boolean, left_on date, timezone text)
    RETURNS boolean LANGUAGE sql STABLE SET search_path = pg_catalog, public, pg_temp
BEGIN ATOMIC
    SELECT active AND (left_on IS NULL OR now() < (left_on + 1)::timestamp AT TIME ZONE coalesce(
               timezone, (SELECT o.timezone FROM organizations o WHERE o.org_id = of_org)));
END;
REVOKE EXECUTE ON FUNCTION is_employed FROM PUBLIC;
GRANT EXECUTE ON FUNCTION is_employed TO opsc_app, opsc_ingest;

-- Assets ------------------------------------------------------------------------------------------

-- A deleted asset keeps its history, and can be restored; its external_id is free.
CREATE TABLE assets (
    org_id uuid NOT NULL REFERENCES organizations,
    id uuid NOT NULL,
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
    name_key text COLLATE "C" NOT NULL
        GENERATED ALWAYS AS (lower(name COLLATE pg_c_utf8)) STORED,
    -- The class decides how fast an asset may be before a fix is held to be wrong.
    asset_class text NOT NULL DEFAULT 'other'
        CHECK (asset_class IN ('vehicle', 'aircraft', 'vessel', 'person', 'other')),
    external_id text CHECK (length(external_id) BETWEEN 1 AND 200),
    make text CHECK (length(make) <= 200),
    model text CHECK (length(model) <= 200),
    serial text CHECK (length(serial) BETWEEN 1 AND 200),
    year smallint CHECK (year BETWEEN 1800 AND 2200),
    client_id uuid,
    site_id uuid,
    mechanical_state text NOT NULL DEFAULT 'operational'
        CHECK (mechanical_state IN ('operational', 'degraded', 'down', 'in_repair', 'retired')),
    -- A meter is a manual reading and the time it was read at.
    odometer_m double precision CHECK (odometer_m >= 0),
    odometer_at timestamptz,
    engine_hours_h double precision CHECK (engine_hours_h >= 0),
    engine_hours_at timestamptz,
    revision bigint NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    deleted_at timestamptz,
    PRIMARY KEY (org_id, id),
    CONSTRAINT assets_client FOREIGN KEY (org_id, client_id) REFERENCES clients (org_id, id),
    CONSTRAINT assets_site FOREIGN KEY (org_id, site_id) REFERENCES sites (org_id, id),
    CONSTRAINT assets_odometer CHECK ((odometer_m IS NULL) = (odometer_at IS NULL)),
    CONSTRAINT assets_engine_hours
        CHECK ((engine_hours_h IS NULL) = (engine_hours_at IS NULL))
);
CREATE INDEX assets_newest ON assets (org_id, created_at DESC, id DESC);
CREATE INDEX assets_revision ON assets (revision);
CREATE UNIQUE INDEX assets_external_id ON assets (org_id, external_id) WHERE deleted_at IS NULL;
CREATE INDEX assets_name ON assets (org_id, name_key);
CREATE INDEX assets_make_and_model ON assets (org_id, make, model);
CREATE INDEX assets_model ON assets (org_id, model);
CREATE INDEX assets_state ON assets (org_id, mechanical_state);
CREATE INDEX assets_of_client ON assets (org_id, client_id) WHERE client_id IS NOT NULL;
CREATE INDEX assets_of_site ON assets (org_id, site_id) WHERE site_id IS NOT NULL;
SELECT make_resource('assets', audited_as => 'asset', counted => true, gone_at => 'deleted_at',
    codes => 'external_id,serial', names => 'name');
GRANT SELECT, INSERT, UPDATE ON assets TO opsc_app;
GRANT SELECT ON assets TO opsc_ingest;
GRANT SELECT (org_id, id, client_id) ON assets TO opsc_deliver;

-- Which tags an asset had when: a fix is judged by those in force at its own time, in
-- [valid_from, valid_to). Every asset has one open row; its first is in force since ever.
CREATE TABLE asset_tags (
    org_id uuid NOT NULL,
    asset_id uuid NOT NULL,
    tags text[] NOT NULL CHECK (cardinality(tags) <= 50),
    valid_from timestamptz NOT NULL,
    valid_to timestamptz CHECK (valid_to >= valid_from),
    revision bigint NOT NULL,
    PRIMARY KEY (org_id, asset_id, valid_from),
    FOREIGN KEY (org_id, asset_id) REFERENCES assets (org_id, id)
);
CREATE UNIQUE INDEX asset_has_one_open_row_of_tags ON asset_tags (org_id, asset_id)
    WHERE valid_to IS NULL;
CREATE INDEX asset_tags_revision ON asset_tags (revision);
SELECT make_resource('asset_tags', audited_as => 'asset', id_column => 'asset_id');
GRANT SELECT, INSERT, UPDATE (valid_to, revision) ON asset_tags TO opsc_app;
GRANT SELECT ON asset_tags TO opsc_ingest;
GRANT SELECT (org_id, asset_id, tags, valid_to) ON asset_tags TO opsc_deliver;

-- Trackers and gateways ---------------------------------------------------------------------------

CREATE TABLE trackers (
    org_id uuid NOT NULL REFERENCES organizations,
    id uuid NOT NULL UNIQUE,
    name text CHECK (length(name) BETWEEN 1 AND 200),
    external_id text CHECK (length(external_id) BETWEEN 1 AND 200),
    secret_hash bytea NOT NULL CHECK (length(secret_hash) = 32),  -- SHA-256 of a 256-bit secret
    receipts boolean NOT NULL DEFAULT false,
    is_punch_terminal boolean NOT NULL DEFAULT false,  -- every employee may punch with it
    revoked_at timestamptz,
    revision bigint NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (org_id, id),
    UNIQUE (org_id, external_id)
);
CREATE INDEX trackers_newest ON trackers (org_id, created_at DESC, id DESC);
CREATE INDEX trackers_revision ON trackers (revision);
SELECT make_resource('trackers', audited_as => 'tracker', counted => true, codes => 'external_id',
    names => 'name');
CREATE POLICY listen ON trackers FOR SELECT TO opsc_listen USING (true);
GRANT SELECT, INSERT, UPDATE ON trackers TO opsc_app;
GRANT SELECT ON trackers TO opsc_ingest;
GRANT SELECT (org_id, id, secret_hash, receipts, revoked_at, revision) ON trackers TO opsc_listen;
GRANT SELECT (org_id, id) ON trackers TO opsc_deliver;

-- History is stored by tracker; the asset of a fix is the one assigned at the fix's own time. An
-- assignment is to an asset or to an employee. An employee may have several trackers at a time.
CREATE TABLE tracker_assignments (
    org_id uuid NOT NULL,
    id uuid NOT NULL,
    tracker_id uuid NOT NULL,
    asset_id uuid,
    employee_id uuid,
    assigned_from timestamptz NOT NULL,
    assigned_to timestamptz CHECK (assigned_to > assigned_from),  -- NULL: still assigned
    created_at timestamptz NOT NULL DEFAULT now(),
    revision bigint NOT NULL,
    PRIMARY KEY (org_id, id),
    FOREIGN KEY (org_id, tracker_id) REFERENCES trackers (org_id, id),
    FOREIGN KEY (org_id, asset_id) REFERENCES assets (org_id, id),
    -- As text: lists ask for each row who has which tracker now. PostgreSQL would take these
    -- indexes for that, and a look-up by GiST takes ten times as long as one by B-tree.
    CONSTRAINT tracker_has_one_asset EXCLUDE USING gist (
        org_id WITH =, (tracker_id::text) WITH =, tstzrange(assigned_from, assigned_to) WITH &&),
    CONSTRAINT asset_has_one_tracker EXCLUDE USING gist (
        org_id WITH =, (asset_id::text) WITH =, tstzrange(assigned_from, assigned_to) WITH &&),
    CONSTRAINT tracker_assignments_employee
        FOREIGN KEY (org_id, employee_id) REFERENCES employees (org_id, id),
    CONSTRAINT tracker_is_on_one CHECK (num_nonnulls(asset_id, employee_id) = 1)
);
CREATE INDEX tracker_assignments_revision ON tracker_assignments (revision);
-- With all that lists read of an assignment, so that none of them looks at the rows.
CREATE INDEX tracker_assignments_of_asset
    ON tracker_assignments (org_id, asset_id, assigned_from DESC) INCLUDE (assigned_to, tracker_id);
CREATE INDEX tracker_assignments_of_tracker
    ON tracker_assignments (org_id, tracker_id, assigned_from DESC) INCLUDE (assigned_to, asset_id);
CREATE INDEX tracker_assignments_of_employee
    ON tracker_assignments (org_id, employee_id, assigned_from DESC)
    INCLUDE (assigned_to, tracker_id) WHERE employee_id IS NOT NULL;
SELECT make_resource('tracker_assignments', audited_as => 'tracker', id_column => 'tracker_id');
GRANT SELECT, INSERT, UPDATE ON tracker_assignments TO opsc_app;
GRANT SELECT ON tracker_assignments TO opsc_ingest;
GRANT SELECT (org_id, tracker_id, asset_id, assigned_from, assigned_to) ON tracker_assignments
    TO opsc_deliver;

-- What forwards the positions of many devices. Hashes of the secret are kept as those of trackers.
CREATE TABLE gateways (
    org_id uuid NOT NULL REFERENCES organizations,
    id uuid NOT NULL UNIQUE,
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
    kind text NOT NULL CHECK (kind IN ('traccar', 'chirpstack', 'tts')),
    secret_hash bytea NOT NULL CHECK (length(secret_hash) = 32),  -- SHA-256 of a 256-bit secret
    revoked_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (org_id, id)
);
CREATE INDEX gateways_newest ON gateways (org_id, created_at DESC, id DESC);
SELECT make_resource('gateways', audited_as => 'gateway', counted => true, names => 'name');
GRANT SELECT, INSERT, UPDATE ON gateways TO opsc_app;

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
SELECT make_tenant_table('device_sessions');
CREATE POLICY listen ON device_sessions TO opsc_listen USING (true) WITH CHECK (true);
GRANT SELECT, INSERT, UPDATE, DELETE ON device_sessions TO opsc_listen;

-- A listener that runs keeps its row from expiring.
CREATE TABLE listeners (
    id uuid PRIMARY KEY,
    expires_at timestamptz NOT NULL
);
GRANT SELECT ON listeners TO opsc_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON listeners TO opsc_listen;

-- The last connection of a tracker. It is open while listener_id is set and that listener lives.
CREATE TABLE device_connections (
    org_id uuid NOT NULL,
    tracker_id uuid NOT NULL,
    listener_id uuid,
    address inet NOT NULL,
    protocol_version smallint NOT NULL CHECK (protocol_version IN (3, 4, 5)),  -- 3: MQTT 3.1
    connected_at timestamptz NOT NULL,
    disconnected_at timestamptz,  -- of this connection, or of the one before
    credential_shared_at timestamptz,  -- when two devices last took turns with one secret
    PRIMARY KEY (org_id, tracker_id),
    FOREIGN KEY (org_id, tracker_id) REFERENCES trackers (org_id, id)
);
CREATE INDEX device_connections_of_listener ON device_connections (listener_id)
    WHERE listener_id IS NOT NULL;
SELECT make_tenant_table('device_connections');
CREATE POLICY listen ON device_connections TO opsc_listen USING (true) WITH CHECK (true);
GRANT SELECT ON device_connections TO opsc_app;
GRANT SELECT, INSERT, UPDATE ON device_connections TO opsc_listen;

-- The main path -----------------------------------------------------------------------------------

-- (tracker_id, time, seq) identifies a fix. No foreign keys: each would cost a look-up per row, and
-- the one writer knows its trackers.
CREATE TABLE gps_events (
    org_id uuid NOT NULL,
    tracker_id uuid NOT NULL,
    time timestamptz NOT NULL,
    seq integer NOT NULL,
    received_at timestamptz NOT NULL,
    lat double precision NOT NULL CHECK (lat BETWEEN -90 AND 90),
    lon double precision NOT NULL CHECK (lon BETWEEN -180 AND 180),
    flags smallint NOT NULL DEFAULT 0,  -- 1 suspect, 2 rollover
    altitude_m real,
    speed_mps real,
    course_deg real,
    accuracy_m real,
    battery_pct real,
    satellites smallint,
    ignition boolean,
    attributes jsonb
);
CREATE UNIQUE INDEX gps_events_identity ON gps_events (tracker_id, time, seq);
CREATE INDEX gps_events_time ON gps_events USING brin (time) WITH (autosummarize = on);
-- Row-level security covers the hypertable, not its chunks: they live in a schema of their own, on
-- which only the owner has USAGE.
CREATE SCHEMA gps_chunks;
SELECT create_hypertable('gps_events', 'time', chunk_time_interval => INTERVAL '1 day',
                         create_default_indexes => false, associated_schema_name => 'gps_chunks');
SELECT make_tenant_table('gps_events');
-- UPDATE: a suspect fix that proves to be true.
GRANT SELECT ON gps_events TO opsc_app;
GRANT SELECT, INSERT, UPDATE (flags) ON gps_events TO opsc_ingest;
GRANT SELECT (tracker_id, time, seq), DELETE ON gps_events TO opsc_deliver;

-- Drops the chunks of fixes that end by then. Only the owner of a hypertable may.
CREATE FUNCTION drop_position_chunks(ended_by timestamptz) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    RETURN (SELECT count(*) FROM drop_chunks('gps_events', older_than => ended_by));
END
$$;
REVOKE EXECUTE ON FUNCTION drop_position_chunks FROM PUBLIC;
GRANT EXECUTE ON FUNCTION drop_position_chunks TO opsc_deliver;

-- The newest position of each asset, for the live map. Ingest keeps the rows beside its batches, at
-- most a second behind them, and derives all of them from the fixes anew when it begins. Every
-- position is rewritten again and again, so pages are half empty and no index covers what changes:
-- the updates are heap-only (HOT).
CREATE TABLE latest_positions (
    org_id uuid NOT NULL,
    asset_id uuid NOT NULL,
    tracker_id uuid,  -- null, as all that follows: no position is known
    time timestamptz,
    seq integer,
    lat double precision,  -- degrees
    lon double precision,
    speed_mps real,
    course_deg real,
    accuracy_m real,
    -- The transaction that wrote the row. A reader asks for the rows of all transactions that were
    -- not over when it looked before, so none is missed in whatever order transactions commit.
    changed_by xid8 NOT NULL DEFAULT pg_current_xact_id(),
    PRIMARY KEY (org_id, asset_id),
    FOREIGN KEY (org_id, asset_id) REFERENCES assets (org_id, id)
) WITH (fillfactor = 50);
SELECT make_tenant_table('latest_positions');
-- Retention removes positions whose fix is too old.
GRANT SELECT ON latest_positions TO opsc_app;
GRANT SELECT, INSERT, UPDATE ON latest_positions TO opsc_ingest;
GRANT SELECT (org_id, time), DELETE ON latest_positions TO opsc_deliver;

-- The newest position of each employee by their trackers, as `latest_positions` has those of assets.
-- Ingest derives them from the fixes, and keeps none of an organization that does not show employees.
CREATE TABLE latest_employee_positions (
    org_id uuid NOT NULL,
    employee_id uuid NOT NULL,
    tracker_id uuid,  -- null, as all that follows: no position is known
    time timestamptz,
    seq integer,
    lat double precision,  -- degrees
    lon double precision,
    speed_mps real,
    course_deg real,
    accuracy_m real,
    changed_by xid8 NOT NULL DEFAULT pg_current_xact_id(),
    PRIMARY KEY (org_id, employee_id),
    FOREIGN KEY (org_id, employee_id) REFERENCES employees (org_id, id)
) WITH (fillfactor = 50);
SELECT make_tenant_table('latest_employee_positions');
-- The API removes them where an admin turns the setting off.
GRANT SELECT, DELETE ON latest_employee_positions TO opsc_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON latest_employee_positions TO opsc_ingest;
GRANT SELECT (org_id, time), DELETE ON latest_employee_positions TO opsc_deliver;

-- One stay of an asset in a zone. The id is derived from (asset, zone, identity of the fix that
-- opened it, instant of the zone's change where that opened it), so writing a visit twice fails.
CREATE TABLE visits (
    org_id uuid NOT NULL,
    id uuid NOT NULL,
    asset_id uuid NOT NULL,
    zone_id uuid NOT NULL,
    zone_version integer NOT NULL,
    tracker_id uuid NOT NULL,  -- identity of the opening fix: tracker, time, seq
    opening_time timestamptz NOT NULL,
    opening_seq integer NOT NULL,
    opening_change timestamptz,  -- the zone's change, where that opened the visit
    -- So many visits of the zone that the same fix opened were known before; part of the id.
    opening_again integer NOT NULL DEFAULT 0 CHECK (opening_again >= 0),
    entered_at timestamptz NOT NULL,
    entry_lat double precision NOT NULL,
    entry_lon double precision NOT NULL,
    entry_cause text NOT NULL
        CHECK (entry_cause IN ('moved', 'initial', 'zone_changed', 'reassigned')),
    entry_inferred text CHECK (entry_inferred IN ('segment', 'timer')),
    left_at timestamptz CHECK (left_at >= entered_at),
    exit_lat double precision,
    exit_lon double precision,
    exit_cause text CHECK (exit_cause IN ('moved', 'zone_changed', 'reassigned', 'silence')),
    exit_inferred text CHECK (exit_inferred IN ('segment', 'timer')),
    -- An event told of it: perhaps of one that does not hold any more.
    exit_told boolean NOT NULL DEFAULT false,
    -- The fix that ended it, as tracker_id, opening_time and opening_seq are the one that opened
    -- it. NULL where a visit lasts, or the fix is not known.
    exit_tracker_id uuid,
    exit_fix_time timestamptz,
    exit_fix_seq integer,
    dwelled_at timestamptz,  -- the instant of the dwell event; NULL: none was given
    dwell_told boolean NOT NULL DEFAULT false,  -- the same of the dwell
    -- When a fix inside first stated a speed above the zone's limit; NULL: none did.
    overspeed_at timestamptz,
    overspeed_lat double precision,
    overspeed_lon double precision,
    overspeed_mps real,  -- which speed
    overspeed_told boolean NOT NULL DEFAULT false,  -- an event told of one
    retracted boolean NOT NULL DEFAULT false,  -- it never was, or is part of another
    revision integer NOT NULL DEFAULT 1,
    PRIMARY KEY (org_id, id),
    CHECK ((left_at IS NULL) = (exit_cause IS NULL)),
    CONSTRAINT visits_exit_inferred_of_an_exit
        CHECK (exit_inferred IS NULL OR left_at IS NOT NULL)
);
CREATE INDEX visits_newest ON visits (org_id, entered_at DESC, id DESC);
CREATE INDEX visits_of_zone ON visits (org_id, zone_id, entered_at DESC, id DESC);
CREATE INDEX visits_of_asset ON visits (org_id, asset_id, entered_at DESC, id DESC);
CREATE UNIQUE INDEX visit_is_open_once ON visits (asset_id, zone_id)
    WHERE left_at IS NULL AND NOT retracted;
-- Where the name of a visit may be used already: only visits that were amended leave their name.
CREATE INDEX visits_amended ON visits (asset_id, opening_time) WHERE revision > 1;
-- Who is in a zone now.
CREATE INDEX visits_open ON visits (org_id, zone_id, asset_id)
    WHERE left_at IS NULL AND NOT retracted;
-- The last visit of each asset to a zone before an instant: whoever looks for the fixes of a zone's
-- visits in a stretch of time reads those that began in it, and of each asset the one that may
-- reach into it, and not all visits there ever were.
CREATE INDEX visits_by_asset ON visits (org_id, zone_id, asset_id, entered_at, left_at)
    WHERE NOT retracted;
SELECT make_tenant_table('visits');
GRANT SELECT ON visits TO opsc_app;
GRANT SELECT, INSERT, UPDATE ON visits TO opsc_ingest;

-- Messages that come over the API, or out of quarantine. Ingest reads them as it reads those of
-- devices, and deletes a row in the transaction that stores its fixes.
CREATE TABLE inbox (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    org_id uuid REFERENCES organizations,  -- NULL: from quarantine, where the sender was not known
    topic text NOT NULL,
    payload bytea NOT NULL CHECK (length(payload) <= 2097152),
    received_at timestamptz NOT NULL DEFAULT now(),
    quarantine_id uuid  -- the row that was released; it goes with the inbox row, or comes back
);
SELECT make_tenant_table('inbox');
-- What has no organization is the operator's, who acts as the owner.
CREATE POLICY operator ON inbox TO opsc_owner USING (org_id IS NULL);
GRANT SELECT, INSERT ON inbox TO opsc_app;
GRANT SELECT, DELETE ON inbox TO opsc_ingest;

-- The same bytes refused again raise `seen`: a message that comes twice is kept once. org_id is
-- NULL where the sender is unknown: only the operator sees such rows.
CREATE TABLE quarantine (
    org_id uuid,  -- NULL: the sender is unknown
    id uuid PRIMARY KEY,
    tracker_id uuid,  -- NULL: no tracker of ours
    digest bytea NOT NULL UNIQUE CHECK (length(digest) = 32),  -- over topic, reason, payload
    topic text NOT NULL,
    reason text NOT NULL,
    detail text NOT NULL,
    positions integer[] NOT NULL,  -- which fixes of an array; empty: the whole message
    payload bytea,  -- up to 64 KiB; NULL beyond
    payload_bytes integer NOT NULL,
    payload_sha256 bytea NOT NULL,
    seen bigint NOT NULL DEFAULT 1,
    first_received_at timestamptz NOT NULL,
    last_received_at timestamptz NOT NULL,
    counts_only boolean NOT NULL DEFAULT false,  -- of what is beyond the bound of a day
    releases integer NOT NULL DEFAULT 0,  -- how often the message was released
    released_at timestamptz  -- set while the message waits in the inbox
);
CREATE INDEX quarantine_newest ON quarantine (org_id, last_received_at DESC, id DESC);
CREATE INDEX quarantine_of_tracker ON quarantine (org_id, tracker_id, last_received_at DESC, id DESC);
CREATE INDEX quarantine_oldest ON quarantine (last_received_at);
SELECT make_tenant_table('quarantine');
CREATE POLICY operator ON quarantine TO opsc_owner USING (org_id IS NULL);
GRANT SELECT, UPDATE (releases, released_at), DELETE ON quarantine TO opsc_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON quarantine TO opsc_ingest;

-- How much was kept on a day (UTC) of a tracker, or of all messages without an organization, which
-- have the tracker 00000000-0000-0000-0000-000000000000.
CREATE TABLE quarantine_usage (
    day date NOT NULL,
    tracker_id uuid NOT NULL,
    kept_rows bigint NOT NULL,
    kept_bytes bigint NOT NULL,
    PRIMARY KEY (day, tracker_id)
);
GRANT SELECT, INSERT, UPDATE, DELETE ON quarantine_usage TO opsc_ingest;

-- State of the engine -----------------------------------------------------------------------------

-- One active owner per name. A new owner raises the epoch; every transaction of the old one checks
-- its epoch and fails.
-- The epoch is part of a key: a transaction that holds it FOR KEY SHARE keeps a new owner out, but
-- not the renewal of the lease, which changes no key.
CREATE TABLE leases (
    name text PRIMARY KEY,
    epoch bigint NOT NULL DEFAULT 0,
    holder text NOT NULL DEFAULT '',
    -- Where others find the owner; NULL: nowhere.
    address text CHECK (length(address) BETWEEN 1 AND 500),
    expires_at timestamptz NOT NULL DEFAULT '-infinity',
    UNIQUE (name, epoch)
);
INSERT INTO leases (name) VALUES ('ingest'), ('sequencer');
GRANT SELECT, UPDATE ON leases TO opsc_ingest, opsc_deliver;
GRANT SELECT (name, epoch, expires_at, address) ON leases TO opsc_listen;

-- Of each asset what its open visits and its last fix do not tell, in bytes that ingest alone reads;
-- written in the transaction of the fixes that it comes from.
CREATE TABLE asset_state (
    org_id uuid NOT NULL,
    asset_id uuid NOT NULL,
    state bytea NOT NULL,
    PRIMARY KEY (org_id, asset_id)
);
SELECT make_tenant_table('asset_state');
GRANT SELECT, INSERT, UPDATE, DELETE ON asset_state TO opsc_ingest;

-- What was known of an asset after its fix (time, seq), all fixes up to it taken in, in bytes that
-- ingest alone reads. A fix that comes late is judged from the last of them before it.
CREATE TABLE asset_checkpoints (
    org_id uuid NOT NULL,
    asset_id uuid NOT NULL,
    time timestamptz NOT NULL,
    seq integer NOT NULL,
    state bytea NOT NULL,
    PRIMARY KEY (org_id, asset_id, time, seq)
);
SELECT make_tenant_table('asset_checkpoints');
GRANT SELECT, INSERT, UPDATE, DELETE ON asset_checkpoints TO opsc_ingest;
GRANT SELECT (org_id, asset_id, time, seq), DELETE ON asset_checkpoints TO opsc_deliver;

-- Assets that got fixes which were stored before: an assignment reaches back to them. Whoever writes
-- the assignment writes the row with it; ingest judges what lies after (time, seq) piece by piece,
-- moves the row on in the transaction of each piece, and removes it when nothing is left.
CREATE TABLE asset_backlogs (
    org_id uuid NOT NULL,
    asset_id uuid NOT NULL,
    time timestamptz NOT NULL,
    seq integer NOT NULL,  -- -1: the fixes at `time` are not judged either
    state bytea,  -- what is known of the asset then, in bytes that ingest alone reads
    -- Up to when the asset was judged before; NULL where an assignment reaches back. Ingest itself
    -- writes the row where a late fix has too much behind it to be judged in one transaction.
    judged_until timestamptz,
    revision bigint NOT NULL,
    PRIMARY KEY (org_id, asset_id),
    FOREIGN KEY (org_id, asset_id) REFERENCES assets (org_id, id)
);
SELECT make_tenant_table('asset_backlogs');
GRANT SELECT, INSERT, UPDATE ON asset_backlogs TO opsc_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON asset_backlogs TO opsc_ingest;

-- Assets that have lost fixes. A late fix is judged from a checkpoint on, with all fixes since: where
-- the checkpoint is older than `before`, some of these may be gone.
CREATE TABLE asset_cuts (
    org_id uuid NOT NULL,
    asset_id uuid NOT NULL,
    before timestamptz NOT NULL,  -- fixes of earlier are gone
    PRIMARY KEY (org_id, asset_id)
);
SELECT make_tenant_table('asset_cuts');
GRANT SELECT ON asset_cuts TO opsc_ingest;
GRANT SELECT, INSERT, UPDATE ON asset_cuts TO opsc_deliver;

-- Punches and hours -------------------------------------------------------------------------------

-- The id is derived from (employee, claimed time, kind, tracker): what is sent twice is one row.
-- A row is never removed. `verdict`, `reasons` and what follows them are the judgement by the rules
-- and the zones of then; `revision` counts judgements and reviews.
CREATE TABLE punches (
    org_id uuid NOT NULL REFERENCES organizations,
    id uuid NOT NULL,
    employee_id uuid NOT NULL,
    kind text NOT NULL CHECK (kind IN ('in', 'out', 'break_start', 'break_end')),
    claimed_at timestamptz NOT NULL,
    received_at timestamptz NOT NULL,
    tracker_id uuid,  -- NULL: over the API
    entered_by uuid,  -- the user who entered it for somebody else; NULL: the employee's own punch
    entry_reason text CHECK (length(entry_reason) BETWEEN 1 AND 1000),
    note text CHECK (length(note) <= 1000),
    -- Whether the employee themselves entered the punch by hand, with a reason. It stays so, whoever the
    -- employee is linked to later.
    is_own_entry boolean NOT NULL DEFAULT false,
    -- The proof, as the device stated it. NULL: not known; so are a position of 0,0 and an accuracy
    -- of 0.
    fix_time timestamptz,
    lat double precision CHECK (lat BETWEEN -90 AND 90),
    lon double precision CHECK (lon BETWEEN -180 AND 180),
    accuracy_m double precision CHECK (accuracy_m > 0),
    mock boolean NOT NULL DEFAULT false,
    -- The judgement.
    verdict text NOT NULL CHECK (verdict IN ('verified', 'unverified', 'failed')),
    reasons jsonb NOT NULL CHECK (jsonb_typeof(reasons) = 'array'),  -- [{rule, makes, figures}]
    zone_id uuid,  -- the best of the zones that were compared, and the version in force
    zone_version integer,
    site_id uuid,  -- whose geofence the zone is, if it is a site's
    distance_m double precision,  -- to the edge of the zone, negative inside
    margin_m double precision,  -- tolerance - distance
    fix_age_s double precision,
    asset_id uuid,  -- the machine that the employee was at
    machine_distance_m double precision CHECK (machine_distance_m >= 0),
    -- The order that an employee begins to work on (`db/punches/rows.py`).
    work_order_id uuid,
    pay_time timestamptz NOT NULL,
    pay_time_source text NOT NULL CHECK (pay_time_source IN ('claimed', 'disputed', 'entered')),
    server_time timestamptz,  -- the other reading, of a disputed time
    revision integer NOT NULL DEFAULT 1,
    review text CHECK (review IN ('accepted', 'rejected')),  -- NULL: not reviewed
    review_note text CHECK (length(review_note) BETWEEN 1 AND 1000),
    reviewed_by uuid,
    reviewed_at timestamptz,
    PRIMARY KEY (org_id, id),
    FOREIGN KEY (org_id, employee_id) REFERENCES employees (org_id, id),
    FOREIGN KEY (org_id, tracker_id) REFERENCES trackers (org_id, id),
    FOREIGN KEY (org_id, entered_by) REFERENCES users (org_id, id),
    FOREIGN KEY (org_id, zone_id, zone_version)
        REFERENCES zone_versions (org_id, zone_id, version),
    FOREIGN KEY (org_id, site_id) REFERENCES sites (org_id, id),
    FOREIGN KEY (org_id, asset_id) REFERENCES assets (org_id, id),
    FOREIGN KEY (org_id, reviewed_by) REFERENCES users (org_id, id),
    CHECK ((lat IS NULL) = (lon IS NULL)),
    CHECK ((zone_id IS NULL) = (zone_version IS NULL)),
    CHECK ((entered_by IS NULL) = (entry_reason IS NULL)),
    CHECK (entered_by IS NULL OR tracker_id IS NULL),
    CHECK ((server_time IS NULL) = (pay_time_source <> 'disputed')),
    CHECK ((review IS NULL) = (reviewed_by IS NULL)),
    CHECK ((review IS NULL) = (reviewed_at IS NULL)),
    CHECK (review IS NOT NULL OR review_note IS NULL)
);
CREATE INDEX punches_newest ON punches (org_id, claimed_at DESC, id DESC);
CREATE INDEX punches_of_employee ON punches (org_id, employee_id, claimed_at DESC, id DESC);
-- The hours of a period are counted by the time that is paid.
CREATE INDEX punches_by_pay_time ON punches (org_id, employee_id, pay_time, id);
-- What was received last, and how much in a day.
CREATE INDEX punches_by_receipt ON punches (org_id, employee_id, received_at DESC, id DESC);
-- Where the employee was at about a time, as far as it is to be believed.
CREATE INDEX punches_places ON punches (org_id, employee_id, fix_time)
    WHERE lat IS NOT NULL AND verdict <> 'failed';
CREATE INDEX punches_to_review ON punches (org_id, claimed_at DESC, id DESC)
    WHERE review IS NULL AND verdict <> 'verified';
CREATE INDEX punches_of_verdict ON punches (org_id, verdict, claimed_at DESC, id DESC);
CREATE INDEX punches_of_site ON punches (org_id, site_id, claimed_at DESC, id DESC)
    WHERE site_id IS NOT NULL;
CREATE INDEX punches_by_place_time ON punches (org_id, (coalesce(fix_time, claimed_at)), id)
    WHERE lat IS NOT NULL;
-- A punch is its own record; what is changed of it later is written down.
SELECT make_resource('punches', audited_as => 'punch', audited_on => 'UPDATE');
GRANT SELECT, INSERT, UPDATE (revision, review, review_note, reviewed_by, reviewed_at) ON punches
    TO opsc_app;
GRANT SELECT, INSERT, UPDATE (verdict, reasons, zone_id, zone_version, site_id, distance_m,
    margin_m, revision, work_order_id) ON punches TO opsc_ingest;

-- A punch that somebody enters by hand is written down, as its review is.
CREATE CONSTRAINT TRIGGER audit_entry AFTER INSERT ON punches
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (NEW.entered_by IS NOT NULL)
    EXECUTE FUNCTION audit_row('punch', 'id');

-- The verdicts that were replaced: that of each revision. Nobody changes or removes one.
CREATE TABLE punch_verdicts (
    org_id uuid NOT NULL REFERENCES organizations,
    punch_id uuid NOT NULL,
    revision integer NOT NULL,
    cause text NOT NULL CHECK (cause IN ('late_fix', 'jobsite_changed')),  -- of the replacement
    replaced_at timestamptz NOT NULL DEFAULT now(),
    verdict text NOT NULL CHECK (verdict IN ('verified', 'unverified', 'failed')),
    reasons jsonb NOT NULL CHECK (jsonb_typeof(reasons) = 'array'),
    zone_id uuid,
    zone_version integer,
    site_id uuid,
    distance_m double precision,
    margin_m double precision,
    PRIMARY KEY (org_id, punch_id, revision),
    FOREIGN KEY (org_id, punch_id) REFERENCES punches (org_id, id)
);
SELECT make_tenant_table('punch_verdicts');
GRANT SELECT ON punch_verdicts TO opsc_app;
GRANT INSERT ON punch_verdicts TO opsc_ingest;

-- How far in time the place is from which a leap of the punch was measured: a fix of the employee's
-- tracker that is nearer to the punch's fix is new evidence.
CREATE TABLE punch_evidence (
    org_id uuid NOT NULL,
    punch_id uuid NOT NULL,
    employee_id uuid NOT NULL,
    fix_time timestamptz NOT NULL,
    nearest_s double precision NOT NULL CHECK (nearest_s >= 0),
    is_outdated boolean NOT NULL DEFAULT false,
    PRIMARY KEY (org_id, punch_id),
    FOREIGN KEY (org_id, punch_id) REFERENCES punches (org_id, id)
);
CREATE INDEX punch_evidence_by_fix ON punch_evidence (org_id, employee_id, fix_time);
CREATE INDEX punch_evidence_outdated ON punch_evidence (org_id, punch_id) WHERE is_outdated;
SELECT make_tenant_table('punch_evidence');
GRANT SELECT, INSERT ON punch_evidence TO opsc_app;
GRANT SELECT, INSERT, UPDATE ON punch_evidence TO opsc_ingest;

-- Since when the job sites of an organization are others now; the punches behind (next_at, next_id)
-- are to be judged again. One row an organization, so that many corrections are one piece of work.
CREATE TABLE jobsite_corrections (
    org_id uuid PRIMARY KEY REFERENCES organizations,
    next_at timestamptz NOT NULL,
    next_id uuid NOT NULL DEFAULT '00000000-0000-0000-0000-000000000000',
    worked_at timestamptz NOT NULL DEFAULT now()  -- organizations take turns
);
SELECT make_tenant_table('jobsite_corrections');
GRANT SELECT, INSERT (org_id, next_at), UPDATE (next_at, next_id) ON jobsite_corrections
    TO opsc_app;
GRANT SELECT, UPDATE, DELETE ON jobsite_corrections TO opsc_ingest;

-- Zones that are valid from a time in the past, and zones that a site has from now on, where
-- punches were made in that time.
CREATE FUNCTION note_jobsite_correction() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    since timestamptz;
BEGIN
    IF TG_TABLE_NAME = 'zone_versions' THEN
        since := NEW.valid_from;
    ELSE
        SELECT min(valid_from) INTO since FROM zone_versions
         WHERE org_id = NEW.org_id AND zone_id IN (NEW.zone_id, OLD.zone_id);
    END IF;
    INSERT INTO jobsite_corrections AS known (org_id, next_at)
    SELECT NEW.org_id, since
     WHERE EXISTS (
           SELECT FROM punches WHERE org_id = NEW.org_id AND lat IS NOT NULL
              AND coalesce(fix_time, claimed_at) >= since)
        ON CONFLICT (org_id) DO UPDATE
       SET (next_at, next_id) = ROW (excluded.next_at, excluded.next_id)
     WHERE (known.next_at, known.next_id) > (excluded.next_at, excluded.next_id);
    RETURN NULL;
END
$$;
REVOKE EXECUTE ON FUNCTION note_jobsite_correction FROM PUBLIC;

CREATE TRIGGER corrects_punches AFTER INSERT ON zone_versions
    FOR EACH ROW WHEN (NEW.kind = 'jobsite' AND NEW.valid_from < NEW.created_at)
    EXECUTE FUNCTION note_jobsite_correction();

CREATE TRIGGER corrects_punches AFTER UPDATE OF zone_id ON sites
    FOR EACH ROW WHEN (NEW.zone_id IS DISTINCT FROM OLD.zone_id)
    EXECUTE FUNCTION note_jobsite_correction();

-- Shifts are derived from the punches of an employee, in the transaction that records or reviews a
-- punch. The id is derived from the punch that opens the shift.
CREATE TABLE shifts (
    org_id uuid NOT NULL REFERENCES organizations,
    id uuid NOT NULL,
    employee_id uuid NOT NULL,
    opened_by uuid NOT NULL,  -- the punch
    closed_by uuid,  -- the punch; NULL: none has
    started_at timestamptz NOT NULL,
    ended_at timestamptz,  -- NULL: it was open when its last punch came
    break_s integer NOT NULL CHECK (break_s >= 0),
    worked_s integer NOT NULL CHECK (worked_s >= 0),
    server_worked_s integer CHECK (server_worked_s >= 0),  -- by what the server saw, if disputed
    site_id uuid,
    asset_id uuid,
    work_order_id uuid,
    verdicts jsonb NOT NULL,  -- {verdict: how many of its punches}
    flags jsonb NOT NULL CHECK (jsonb_typeof(flags) = 'array'),
    -- What an open shift becomes without another punch, and when.
    lapses_at timestamptz,
    lapsed jsonb,  -- {break_s, worked_s, server_worked_s, flags}
    PRIMARY KEY (org_id, id),
    UNIQUE (org_id, opened_by),
    FOREIGN KEY (org_id, employee_id) REFERENCES employees (org_id, id),
    FOREIGN KEY (org_id, opened_by) REFERENCES punches (org_id, id),
    FOREIGN KEY (org_id, closed_by) REFERENCES punches (org_id, id),
    FOREIGN KEY (org_id, site_id) REFERENCES sites (org_id, id),
    FOREIGN KEY (org_id, asset_id) REFERENCES assets (org_id, id),
    CHECK (ended_at >= started_at),
    CHECK (closed_by IS NULL OR ended_at IS NOT NULL),
    CHECK ((ended_at IS NULL) = (lapses_at IS NOT NULL)),
    CHECK ((ended_at IS NULL) = (lapsed IS NOT NULL))
);
CREATE UNIQUE INDEX employee_has_one_open_shift ON shifts (org_id, employee_id)
    WHERE ended_at IS NULL;
CREATE INDEX shifts_newest ON shifts (org_id, started_at DESC, id DESC);
CREATE INDEX shifts_of_employee ON shifts (org_id, employee_id, started_at DESC, id DESC);
CREATE INDEX shifts_of_work_order ON shifts (org_id, work_order_id)
    WHERE work_order_id IS NOT NULL;
SELECT make_tenant_table('shifts');
GRANT SELECT, INSERT, UPDATE, DELETE ON shifts TO opsc_app, opsc_ingest;

-- figures and rules: what was approved, and by which rules it was counted.
CREATE TABLE timesheets (
    org_id uuid NOT NULL REFERENCES organizations,
    id uuid NOT NULL,
    employee_id uuid NOT NULL,
    first_day date NOT NULL,
    last_day date NOT NULL,
    state text NOT NULL DEFAULT 'open'
        CHECK (state IN ('open', 'submitted', 'approved', 'rejected', 'locked')),
    submitted_by uuid,
    submitted_at timestamptz,
    decided_by uuid,  -- who approved or rejected it
    decided_at timestamptz,
    locked_by uuid,
    locked_at timestamptz,
    figures jsonb,
    rules jsonb,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (org_id, id),
    FOREIGN KEY (org_id, employee_id) REFERENCES employees (org_id, id),
    FOREIGN KEY (org_id, submitted_by) REFERENCES users (org_id, id),
    FOREIGN KEY (org_id, decided_by) REFERENCES users (org_id, id),
    FOREIGN KEY (org_id, locked_by) REFERENCES users (org_id, id),
    -- A day is on one timesheet of an employee.
    CONSTRAINT timesheet_has_days_of_its_own EXCLUDE USING gist (
        org_id WITH =, employee_id WITH =, daterange(first_day, last_day, '[]') WITH &&),
    CHECK (last_day - first_day BETWEEN 0 AND 30),
    CHECK ((submitted_by IS NULL) = (submitted_at IS NULL)),
    CHECK ((decided_by IS NULL) = (decided_at IS NULL)),
    CHECK ((locked_by IS NULL) = (locked_at IS NULL)),
    CONSTRAINT timesheet_says_who CHECK (CASE state
        WHEN 'open' THEN num_nonnulls(submitted_by, decided_by, locked_by) = 0
        WHEN 'submitted' THEN submitted_by IS NOT NULL AND num_nonnulls(decided_by, locked_by) = 0
        WHEN 'locked' THEN num_nulls(submitted_by, decided_by, locked_by) = 0
        ELSE num_nulls(submitted_by, decided_by) = 0 AND locked_by IS NULL END),
    CONSTRAINT timesheet_keeps_figures
        CHECK ((state IN ('approved', 'locked')) = (figures IS NOT NULL)),
    CHECK ((figures IS NULL) = (rules IS NULL))
);
CREATE INDEX timesheets_newest ON timesheets (org_id, created_at DESC, id DESC);
CREATE INDEX timesheets_of_employee
    ON timesheets (org_id, employee_id, created_at DESC, id DESC);
CREATE INDEX timesheets_by_state ON timesheets (org_id, state, created_at DESC, id DESC);
CREATE INDEX timesheets_by_day ON timesheets (org_id, last_day);
-- Empty timesheets follow from punches. What people do to a timesheet is written down.
SELECT make_resource('timesheets', audited_as => 'timesheet', audited_on => 'UPDATE OR DELETE');
GRANT SELECT, INSERT, UPDATE (state, submitted_by, submitted_at, decided_by, decided_at, locked_by,
    locked_at, figures, rules, updated_at) ON timesheets TO opsc_app;
GRANT SELECT, INSERT ON timesheets TO opsc_ingest;

-- Nobody changes or removes an adjustment: another one takes it back.
CREATE TABLE timesheet_adjustments (
    org_id uuid NOT NULL REFERENCES organizations,
    id uuid NOT NULL,
    timesheet_id uuid NOT NULL,
    day date NOT NULL,
    seconds integer NOT NULL CHECK (seconds <> 0 AND seconds BETWEEN -86400 AND 86400),
    reason text NOT NULL CHECK (length(reason) BETWEEN 1 AND 500),
    created_by uuid NOT NULL,
    is_own boolean NOT NULL DEFAULT false,  -- whoever made it was the employee whose hours these are
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (org_id, id),
    FOREIGN KEY (org_id, timesheet_id) REFERENCES timesheets (org_id, id),
    FOREIGN KEY (org_id, created_by) REFERENCES users (org_id, id)
);
CREATE INDEX timesheet_adjustments_of_timesheet
    ON timesheet_adjustments (org_id, timesheet_id, created_at, id);
SELECT make_resource('timesheet_adjustments', audited_as => 'timesheet',
    id_column => 'timesheet_id');
GRANT SELECT, INSERT ON timesheet_adjustments TO opsc_app;

-- Attachments -------------------------------------------------------------------------------------

CREATE TABLE attachments (
    org_id uuid NOT NULL REFERENCES organizations,
    id uuid NOT NULL,
    asset_id uuid,  -- exactly one of these six
    site_id uuid,
    client_id uuid,
    employee_id uuid,
    zone_id uuid,
    work_order_id uuid,
    file_name text NOT NULL CHECK (length(file_name) BETWEEN 1 AND 200),
    media_type text NOT NULL CHECK (length(media_type) BETWEEN 3 AND 100),
    size_bytes bigint NOT NULL CHECK (size_bytes > 0),
    sha256 bytea NOT NULL CHECK (length(sha256) = 32),
    created_by uuid NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (org_id, id),
    FOREIGN KEY (org_id, asset_id) REFERENCES assets (org_id, id),
    FOREIGN KEY (org_id, site_id) REFERENCES sites (org_id, id),
    FOREIGN KEY (org_id, client_id) REFERENCES clients (org_id, id),
    FOREIGN KEY (org_id, employee_id) REFERENCES employees (org_id, id),
    FOREIGN KEY (org_id, zone_id) REFERENCES zones (org_id, id),
    CONSTRAINT attachment_belongs_to_one CHECK (
        num_nonnulls(asset_id, site_id, client_id, employee_id, zone_id, work_order_id) = 1)
);
CREATE INDEX attachments_newest ON attachments (org_id, created_at DESC, id DESC);
CREATE INDEX attachments_of_asset ON attachments (org_id, asset_id) WHERE asset_id IS NOT NULL;
CREATE INDEX attachments_of_site ON attachments (org_id, site_id) WHERE site_id IS NOT NULL;
CREATE INDEX attachments_of_client ON attachments (org_id, client_id) WHERE client_id IS NOT NULL;
CREATE INDEX attachments_of_employee ON attachments (org_id, employee_id)
    WHERE employee_id IS NOT NULL;
CREATE INDEX attachments_of_zone ON attachments (org_id, zone_id) WHERE zone_id IS NOT NULL;
CREATE INDEX attachments_of_work_order ON attachments (org_id, work_order_id)
    WHERE work_order_id IS NOT NULL;
SELECT make_resource('attachments', audited_as => 'attachment', counted => true);
-- Who names an attachment locks it, which takes a right to update a column. It stays as it is.
CREATE POLICY stays ON attachments AS RESTRICTIVE FOR UPDATE TO opsc_app
    USING (true) WITH CHECK (false);
GRANT SELECT, INSERT, UPDATE (file_name), DELETE ON attachments TO opsc_app;

-- The bytes, in pieces: none is ever read or written whole. They are compressed already.
CREATE TABLE attachment_pieces (
    org_id uuid NOT NULL,
    attachment_id uuid NOT NULL,
    number integer NOT NULL CHECK (number >= 0),
    content bytea STORAGE EXTERNAL NOT NULL CHECK (length(content) BETWEEN 1 AND 262144),
    PRIMARY KEY (org_id, attachment_id, number),
    FOREIGN KEY (org_id, attachment_id) REFERENCES attachments (org_id, id) ON DELETE CASCADE
);
SELECT make_tenant_table('attachment_pieces');
GRANT SELECT, INSERT ON attachment_pieces TO opsc_app;

-- How much an organization keeps; its row makes uploads that end at the same time take turns.
CREATE TABLE attachment_usage (
    org_id uuid PRIMARY KEY REFERENCES organizations,
    files bigint NOT NULL CHECK (files >= 0),
    bytes bigint NOT NULL CHECK (bytes >= 0)
);
SELECT make_tenant_table('attachment_usage');
GRANT SELECT, INSERT, UPDATE ON attachment_usage TO opsc_app;

-- What a download of a photo shows: the pixels of an attachment and nothing else.
CREATE TABLE photo_copies (
    org_id uuid NOT NULL,
    attachment_id uuid NOT NULL,
    size text NOT NULL CHECK (size IN ('full', 'thumb')),
    media_type text NOT NULL CHECK (media_type IN ('image/jpeg', 'image/png')),
    width_px integer NOT NULL CHECK (width_px BETWEEN 1 AND 4096),
    height_px integer NOT NULL CHECK (height_px BETWEEN 1 AND 4096),
    sha256 bytea NOT NULL CHECK (length(sha256) = 32),
    -- Compressed already, and not compressed again, so that a part is read without the rest.
    content bytea STORAGE EXTERNAL NOT NULL CHECK (length(content) BETWEEN 1 AND 16777216),
    PRIMARY KEY (org_id, attachment_id, size),
    FOREIGN KEY (org_id, attachment_id) REFERENCES attachments (org_id, id) ON DELETE CASCADE
);
SELECT make_tenant_table('photo_copies');
GRANT SELECT, INSERT ON photo_copies TO opsc_app;

-- Parts and stock ---------------------------------------------------------------------------------

-- Quantities are whole thousandths of the part's unit, costs whole millionths of a cent a unit.

CREATE TABLE parts (
    org_id uuid NOT NULL REFERENCES organizations,
    id uuid NOT NULL,
    number text NOT NULL CHECK (length(number) BETWEEN 1 AND 200),
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
    name_key text COLLATE "C" NOT NULL
        GENERATED ALWAYS AS (lower(name COLLATE pg_c_utf8)) STORED,
    unit text NOT NULL CHECK (length(unit) BETWEEN 1 AND 20),
    -- lot: each movement names a lot; serial: each movement names a serial for each piece.
    tracking text NOT NULL DEFAULT 'none'
        CHECK (tracking IN ('none', 'lot', 'serial')),
    unit_cost_cents bigint CHECK (unit_cost_cents BETWEEN 0 AND 1000000000),
    currency text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    -- The machines that it fits: [{"make", "model", "asset_id"}, ...]
    fits jsonb NOT NULL DEFAULT '[]' CHECK (jsonb_typeof(fits) = 'array'),
    notes text CHECK (length(notes) BETWEEN 1 AND 10000),
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    deleted_at timestamptz,
    PRIMARY KEY (org_id, id),
    CONSTRAINT parts_tracking_key UNIQUE (org_id, id, tracking),
    CONSTRAINT parts_fits CHECK (
        jsonb_array_length(fits) <= 100 AND length(fits::text) <= 1000000)
);
CREATE UNIQUE INDEX parts_number ON parts (org_id, number) WHERE deleted_at IS NULL;
CREATE INDEX parts_newest ON parts (org_id, created_at DESC, id DESC);
CREATE INDEX parts_name ON parts (org_id, name_key);
SELECT make_resource('parts', audited_as => 'part', counted => true, gone_at => 'deleted_at',
    codes => 'number', names => 'name');
GRANT SELECT, INSERT, UPDATE (number, name, unit, unit_cost_cents, fits, notes, updated_at,
    deleted_at, tracking) ON parts TO opsc_app;

-- `parts.fits`, one row each, where an index finds them under row-level security. A trigger keeps it.
CREATE TABLE part_fits (
    org_id uuid NOT NULL,
    part_id uuid NOT NULL,
    make text,
    model text,
    asset_id uuid,
    FOREIGN KEY (org_id, part_id) REFERENCES parts (org_id, id) ON DELETE CASCADE,
    FOREIGN KEY (org_id, asset_id) REFERENCES assets (org_id, id),
    CHECK ((model IS NULL) <> (asset_id IS NULL)),
    CONSTRAINT part_fits_once UNIQUE NULLS NOT DISTINCT (org_id, part_id, make, model, asset_id)
);
CREATE INDEX part_fits_model ON part_fits (org_id, model, part_id) WHERE model IS NOT NULL;
CREATE INDEX part_fits_asset ON part_fits (org_id, asset_id, part_id) WHERE asset_id IS NOT NULL;
SELECT make_tenant_table('part_fits');
CREATE POLICY keep ON part_fits TO opsc_owner USING (true) WITH CHECK (true);
GRANT SELECT ON part_fits TO opsc_app;

CREATE FUNCTION keep_part_fits() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    DELETE FROM part_fits WHERE org_id = NEW.org_id AND part_id = NEW.id;
    INSERT INTO part_fits (org_id, part_id, make, model, asset_id)
    SELECT DISTINCT NEW.org_id, NEW.id, one.make, one.model, one.asset_id
      FROM jsonb_to_recordset(NEW.fits) AS one (make text, model text, asset_id uuid);
    RETURN NULL;
END
$$;
REVOKE EXECUTE ON FUNCTION keep_part_fits FROM PUBLIC;

CREATE TRIGGER fits AFTER INSERT ON parts FOR EACH ROW EXECUTE FUNCTION keep_part_fits();

CREATE TRIGGER changed_fits AFTER UPDATE ON parts FOR EACH ROW
    WHEN (NEW.fits <> OLD.fits) EXECUTE FUNCTION keep_part_fits();

CREATE TABLE warehouses (
    org_id uuid NOT NULL REFERENCES organizations,
    id uuid NOT NULL,
    site_id uuid,
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
    name_key text COLLATE "C" NOT NULL
        GENERATED ALWAYS AS (lower(name COLLATE pg_c_utf8)) STORED,
    external_id text CHECK (length(external_id) BETWEEN 1 AND 200),
    address text CHECK (length(address) BETWEEN 1 AND 500),
    lat double precision CHECK (lat BETWEEN -90 AND 90),
    lon double precision CHECK (lon BETWEEN -180 AND 180),
    notes text CHECK (length(notes) BETWEEN 1 AND 10000),
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    deleted_at timestamptz,
    PRIMARY KEY (org_id, id),
    FOREIGN KEY (org_id, site_id) REFERENCES sites (org_id, id),
    CHECK ((lat IS NULL) = (lon IS NULL))
);
CREATE UNIQUE INDEX warehouses_external_id ON warehouses (org_id, external_id)
    WHERE deleted_at IS NULL;
CREATE INDEX warehouses_newest ON warehouses (org_id, created_at DESC, id DESC);
CREATE INDEX warehouses_name ON warehouses (org_id, name_key);
CREATE INDEX warehouses_of_site ON warehouses (org_id, site_id) WHERE site_id IS NOT NULL;
SELECT make_resource('warehouses', audited_as => 'warehouse', counted => true,
    gone_at => 'deleted_at', codes => 'external_id', names => 'name,address');
GRANT SELECT, INSERT, UPDATE (site_id, name, external_id, address, lat, lon, notes, updated_at,
    deleted_at) ON warehouses TO opsc_app;

-- The stock of a part in a warehouse: what the ledger adds up to.
CREATE TABLE inventory (
    org_id uuid NOT NULL REFERENCES organizations,
    id uuid NOT NULL,
    part_id uuid NOT NULL,
    warehouse_id uuid NOT NULL,
    tracking text NOT NULL DEFAULT 'none',  -- that of the part
    on_hand_milli bigint NOT NULL DEFAULT 0,
    reserved_milli bigint NOT NULL DEFAULT 0,
    -- What the lots and serials there add up to.
    lots_milli bigint NOT NULL DEFAULT 0 CHECK (lots_milli >= 0),
    average_microcents bigint CHECK (average_microcents >= 0),  -- NULL: no cost was given yet
    reorder_point_milli bigint CHECK (reorder_point_milli BETWEEN 0 AND 1000000000000),
    reorder_quantity_milli bigint CHECK (reorder_quantity_milli BETWEEN 1 AND 1000000000000),
    is_low boolean NOT NULL GENERATED ALWAYS AS (
        coalesce(on_hand_milli - reserved_milli <= reorder_point_milli, false)) STORED,
    moved_on date,  -- the day in UTC of the last movement, and how many that day had
    moved_times integer NOT NULL DEFAULT 0 CHECK (moved_times >= 0),
    last_movement bigint NOT NULL DEFAULT 0,  -- the number of the last one that changed the level
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (org_id, id),
    CONSTRAINT inventory_part_in_warehouse UNIQUE (org_id, part_id, warehouse_id),
    FOREIGN KEY (org_id, part_id) REFERENCES parts (org_id, id),
    FOREIGN KEY (org_id, warehouse_id) REFERENCES warehouses (org_id, id),
    CONSTRAINT inventory_is_there CHECK (on_hand_milli BETWEEN 0 AND 1000000000000),
    CONSTRAINT inventory_reserved CHECK (reserved_milli BETWEEN 0 AND on_hand_milli),
    CONSTRAINT inventory_part_tracking FOREIGN KEY (org_id, part_id, tracking)
        REFERENCES parts (org_id, id, tracking) ON UPDATE CASCADE
) WITH (fillfactor = 50);
CREATE INDEX inventory_newest ON inventory (org_id, created_at DESC, id DESC);
CREATE INDEX inventory_of_warehouse
    ON inventory (org_id, warehouse_id, created_at DESC, id DESC);
CREATE INDEX inventory_low ON inventory (org_id, created_at DESC, id DESC) WHERE is_low;
-- Movements are a ledger already.
SELECT make_resource('inventory', audited_as => 'inventory',
    audited_on => 'INSERT OR DELETE OR UPDATE OF reorder_point_milli, reorder_quantity_milli',
    counted => true);
-- What movements change, and lots, is written by triggers alone.
GRANT SELECT, INSERT (org_id, id, part_id, warehouse_id, reorder_point_milli,
    reorder_quantity_milli, created_at, updated_at, tracking), UPDATE (reorder_point_milli,
    reorder_quantity_milli, updated_at) ON inventory TO opsc_app;

-- The ledger. `number` gives the order in which a level changed: it is drawn under the level's lock.
CREATE TABLE stock_movements (
    org_id uuid NOT NULL REFERENCES organizations,
    id uuid NOT NULL,
    number bigint GENERATED ALWAYS AS IDENTITY,
    kind text NOT NULL CHECK (kind IN ('receive', 'issue', 'transfer', 'adjust', 'count',
        'reserve', 'release', 'consume', 'return')),
    part_id uuid NOT NULL,
    warehouse_id uuid NOT NULL,
    to_warehouse_id uuid,
    quantity_milli bigint NOT NULL CHECK (abs(quantity_milli) <= 1000000000000),
    on_hand_change_milli bigint NOT NULL,  -- at warehouse_id; at to_warehouse_id the opposite
    reserved_change_milli bigint NOT NULL,
    unit_cost_microcents bigint CHECK (unit_cost_microcents >= 0),
    lot text CHECK (length(lot) BETWEEN 1 AND 60),
    serials text[],
    expires_on date,  -- of the lot or the serials that come in
    work_order_id uuid,  -- that it was made for
    reason text CHECK (length(reason) BETWEEN 1 AND 500),
    created_by uuid,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (org_id, id),
    FOREIGN KEY (org_id, part_id) REFERENCES parts (org_id, id),
    FOREIGN KEY (org_id, warehouse_id) REFERENCES warehouses (org_id, id),
    FOREIGN KEY (org_id, to_warehouse_id) REFERENCES warehouses (org_id, id),
    CHECK ((kind = 'transfer') = (to_warehouse_id IS NOT NULL)),
    CHECK (to_warehouse_id <> warehouse_id),
    CONSTRAINT stock_movements_lot_or_serials CHECK (
        (lot IS NULL AND serials IS NULL)
        OR ((lot IS NULL OR serials IS NULL) AND kind NOT IN ('reserve', 'release'))),
    CONSTRAINT stock_movements_serials CHECK (
        serials IS NULL
        OR (array_ndims(serials) = 1 AND cardinality(serials) <= 200
            AND array_position(serials, NULL) IS NULL AND kind <> 'count'
            AND abs(on_hand_change_milli) = 1000 * cardinality(serials))),
    CONSTRAINT stock_movements_expires_on CHECK (
        expires_on IS NULL OR (kind = 'receive' AND (lot IS NOT NULL OR serials IS NOT NULL))),
    CONSTRAINT stock_movements_change CHECK (
        (on_hand_change_milli <> 0 OR unit_cost_microcents IS NULL)
        AND CASE kind
            WHEN 'reserve' THEN quantity_milli > 0 AND on_hand_change_milli = 0
                AND reserved_change_milli = quantity_milli
            WHEN 'release' THEN quantity_milli > 0 AND on_hand_change_milli = 0
                AND reserved_change_milli = -quantity_milli
            WHEN 'count' THEN quantity_milli >= 0 AND reserved_change_milli = 0
            WHEN 'adjust' THEN quantity_milli <> 0 AND on_hand_change_milli = quantity_milli
                AND reserved_change_milli = 0
            WHEN 'transfer' THEN quantity_milli > 0 AND on_hand_change_milli = -quantity_milli
                AND reserved_change_milli = 0
            WHEN 'issue' THEN quantity_milli > 0 AND on_hand_change_milli = -quantity_milli
                AND reserved_change_milli IN (0, -quantity_milli)
            WHEN 'consume' THEN quantity_milli > 0 AND on_hand_change_milli = -quantity_milli
                AND reserved_change_milli IN (0, -quantity_milli)
            ELSE quantity_milli > 0 AND on_hand_change_milli = quantity_milli
                AND reserved_change_milli = 0
            END),
    CONSTRAINT stock_movements_of_order CHECK (
        work_order_id IS NULL OR kind IN ('reserve', 'release', 'consume', 'return'))
);
CREATE INDEX stock_movements_newest ON stock_movements (org_id, created_at DESC, id DESC);
CREATE INDEX stock_movements_in_order ON stock_movements (org_id, number);
CREATE INDEX stock_movements_of_part
    ON stock_movements (org_id, part_id, created_at DESC, id DESC);
CREATE INDEX stock_movements_of_warehouse
    ON stock_movements (org_id, warehouse_id, created_at DESC, id DESC);
CREATE INDEX stock_movements_to_warehouse
    ON stock_movements (org_id, to_warehouse_id, created_at DESC, id DESC)
    WHERE to_warehouse_id IS NOT NULL;
CREATE INDEX stock_movements_of_kind
    ON stock_movements (org_id, kind, created_at DESC, id DESC);
CREATE INDEX stock_movements_of_work_order
    ON stock_movements (org_id, work_order_id, created_at DESC, id DESC)
    WHERE work_order_id IS NOT NULL;
CREATE INDEX stock_movements_of_lot ON stock_movements (org_id, lot, created_at DESC, id DESC)
    WHERE lot IS NOT NULL;
SELECT make_tenant_table('stock_movements');
GRANT SELECT, INSERT ON stock_movements TO opsc_app;

-- lot: a lot, or a serial. Rows stay when nothing is left.
CREATE TABLE stock_lots (
    org_id uuid NOT NULL,
    id uuid NOT NULL,
    part_id uuid NOT NULL,
    warehouse_id uuid NOT NULL,
    lot text NOT NULL CHECK (length(lot) BETWEEN 1 AND 60),
    is_serial boolean NOT NULL,
    expires_on date,
    on_hand_milli bigint NOT NULL,
    is_in_stock boolean NOT NULL GENERATED ALWAYS AS (on_hand_milli > 0) STORED,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (org_id, id),
    CONSTRAINT stock_lots_once UNIQUE (org_id, part_id, lot, warehouse_id),
    FOREIGN KEY (org_id, part_id, warehouse_id)
        REFERENCES inventory (org_id, part_id, warehouse_id),
    CONSTRAINT stock_lots_are_there CHECK (on_hand_milli BETWEEN 0 AND 1000000000000),
    CONSTRAINT stock_lots_serial_is_one CHECK (NOT is_serial OR on_hand_milli IN (0, 1000))
);
-- A serial is in one place at most.
CREATE UNIQUE INDEX stock_lots_serial_place ON stock_lots (org_id, part_id, lot)
    WHERE is_serial AND on_hand_milli > 0;
CREATE INDEX stock_lots_newest ON stock_lots (org_id, is_in_stock, created_at DESC, id DESC);
CREATE INDEX stock_lots_of_part
    ON stock_lots (org_id, part_id, is_in_stock, created_at DESC, id DESC);
CREATE INDEX stock_lots_of_warehouse
    ON stock_lots (org_id, warehouse_id, is_in_stock, created_at DESC, id DESC);
CREATE INDEX stock_lots_of_lot ON stock_lots (org_id, lot, created_at DESC, id DESC);
CREATE INDEX stock_lots_expiring ON stock_lots (org_id, expires_on)
    WHERE is_in_stock AND expires_on IS NOT NULL;
SELECT make_tenant_table('stock_lots');
GRANT SELECT ON stock_lots TO opsc_app;

-- `stock_movements.serials`, one row each, where an index finds them under row-level security.
CREATE TABLE stock_movement_serials (
    org_id uuid NOT NULL,
    serial text NOT NULL CHECK (length(serial) BETWEEN 1 AND 60),
    movement_id uuid NOT NULL,
    PRIMARY KEY (org_id, serial, movement_id),
    FOREIGN KEY (org_id, movement_id) REFERENCES stock_movements (org_id, id)
);
CREATE INDEX stock_movement_serials_of_movement
    ON stock_movement_serials (org_id, movement_id);
SELECT make_tenant_table('stock_movement_serials');
GRANT SELECT ON stock_movement_serials TO opsc_app;

-- Quotes ------------------------------------------------------------------------------------------

-- mail_state: of the letter with the quote; NULL: none was asked for. A quote is sent when the mail
-- server has taken its letter.
CREATE TABLE quotes (
    org_id uuid NOT NULL REFERENCES organizations,
    id uuid NOT NULL,
    number bigint NOT NULL CHECK (number > 0),
    revision integer NOT NULL CHECK (revision BETWEEN 1 AND 100),
    client_id uuid NOT NULL,
    title text NOT NULL CHECK (length(title) BETWEEN 1 AND 200),
    lines jsonb NOT NULL
        CHECK (jsonb_typeof(lines) = 'array' AND jsonb_array_length(lines) BETWEEN 1 AND 200),
    currency text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    valid_until date NOT NULL,
    terms text CHECK (length(terms) BETWEEN 1 AND 10000),
    notes text CHECK (length(notes) BETWEEN 1 AND 10000),
    subtotal_cents bigint NOT NULL,
    discount_cents bigint NOT NULL CHECK (discount_cents BETWEEN 0 AND subtotal_cents),
    tax_cents bigint NOT NULL CHECK (tax_cents >= 0),
    total_cents bigint NOT NULL CHECK (total_cents BETWEEN 0 AND 1000000000000),
    -- false: the quote is of a time when amounts were hundredths of every currency. It waits until
    -- an admin has confirmed that they are right (`operations/money.py`).
    amounts_confirmed boolean NOT NULL DEFAULT true,
    state text NOT NULL DEFAULT 'draft' CHECK (state IN
        ('draft', 'sent', 'viewed', 'accepted', 'declined', 'expired', 'superseded')),
    mail_state text CHECK (mail_state IN ('queued', 'sent', 'failed', 'withdrawn')),
    send_error text CHECK (length(send_error) BETWEEN 1 AND 500),
    sent_to text CHECK (length(sent_to) BETWEEN 3 AND 254),
    sent_at timestamptz,
    viewed_at timestamptz,
    decided_at timestamptz,
    decided_by text CHECK (length(decided_by) BETWEEN 1 AND 200),
    decline_reason text CHECK (length(decline_reason) BETWEEN 1 AND 2000),
    link_ended_at timestamptz,  -- since then the customer's link shows the accepted quote no more
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    deleted_at timestamptz,
    PRIMARY KEY (org_id, id),
    UNIQUE (org_id, number, revision),
    FOREIGN KEY (org_id, client_id) REFERENCES clients (org_id, id),
    CHECK (total_cents = subtotal_cents - discount_cents + tax_cents),
    CHECK ((state = 'draft') = (sent_at IS NULL)),
    CHECK ((state IN ('accepted', 'declined')) <= (decided_at IS NOT NULL)),
    CHECK (deleted_at IS NULL OR mail_state IS DISTINCT FROM 'queued'),
    CONSTRAINT quotes_stay CHECK (
        deleted_at IS NULL OR state NOT IN ('sent', 'viewed', 'accepted')),
    CONSTRAINT quotes_decided CHECK (
        decided_at IS NULL OR state IN ('accepted', 'declined', 'superseded')),
    CONSTRAINT quotes_link_ended CHECK (link_ended_at IS NULL OR state = 'accepted')
);
CREATE INDEX quotes_newest ON quotes (org_id, created_at DESC, id DESC);
CREATE INDEX quotes_of_client ON quotes (org_id, client_id, created_at DESC, id DESC);
CREATE INDEX quotes_by_state ON quotes (org_id, state, created_at DESC, id DESC);
CREATE INDEX quotes_to_expire ON quotes (valid_until) WHERE state IN ('sent', 'viewed');
-- Of the revisions of a quote one stands.
CREATE UNIQUE INDEX quotes_one_stands ON quotes (org_id, number)
    WHERE state IN ('sent', 'viewed', 'accepted');
SELECT make_resource('quotes', audited_as => 'quote', counted => true, gone_at => 'deleted_at',
    codes => 'number', names => 'title');
GRANT SELECT, INSERT, UPDATE (client_id, title, lines, currency, valid_until, terms, notes,
    subtotal_cents, discount_cents, tax_cents, total_cents, state, mail_state, send_error, sent_to,
    sent_at, viewed_at, decided_at, decided_by, decline_reason, updated_at, deleted_at,
    link_ended_at, amounts_confirmed) ON quotes TO opsc_app;
GRANT SELECT, UPDATE (state, mail_state, send_error, sent_at, updated_at) ON quotes TO opsc_deliver;

-- The document as it was sent, as canonical JSON and as a PDF. Each try to send it writes another.
CREATE TABLE quote_documents (
    org_id uuid NOT NULL,
    quote_id uuid NOT NULL,
    content bytea NOT NULL CHECK (length(content) BETWEEN 1 AND 2000000),
    pdf bytea STORAGE EXTERNAL NOT NULL CHECK (length(pdf) BETWEEN 1 AND 10000000),
    -- The thumb of that time, whose hash the document has.
    logo bytea STORAGE EXTERNAL CHECK (length(logo) BETWEEN 1 AND 200000),
    PRIMARY KEY (org_id, quote_id),
    FOREIGN KEY (org_id, quote_id) REFERENCES quotes (org_id, id)
);
SELECT make_tenant_table('quote_documents');
GRANT SELECT, INSERT, UPDATE (content, pdf, logo) ON quote_documents TO opsc_app;
GRANT SELECT ON quote_documents TO opsc_deliver;

-- A chain of hashes: see `operations/quotes/evidence.py`. Nobody changes or removes an entry.
CREATE TABLE quote_evidence (
    org_id uuid NOT NULL,
    quote_id uuid NOT NULL,
    place integer NOT NULL CHECK (place BETWEEN 1 AND 10),
    content bytea NOT NULL CHECK (length(content) BETWEEN 1 AND 20000),
    sha256 bytea NOT NULL CHECK (length(sha256) = 32),
    signature_png bytea CHECK (length(signature_png) BETWEEN 1 AND 150000),
    -- Of the quote with its acceptance, in the entry of the acceptance.
    pdf bytea STORAGE EXTERNAL CHECK (length(pdf) BETWEEN 1 AND 10000000),
    PRIMARY KEY (org_id, quote_id, place),
    FOREIGN KEY (org_id, quote_id) REFERENCES quotes (org_id, id)
);
SELECT make_tenant_table('quote_evidence');
GRANT SELECT, INSERT ON quote_evidence TO opsc_app, opsc_deliver;

-- Each letter has a link of its own. A link is good for one quote, until it is decided or expires.
CREATE TABLE quote_links (
    org_id uuid NOT NULL,
    token_hash bytea NOT NULL CHECK (length(token_hash) = 32),
    quote_id uuid NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (org_id, token_hash),
    FOREIGN KEY (org_id, quote_id) REFERENCES quotes (org_id, id)
);
CREATE UNIQUE INDEX quote_links_token ON quote_links (token_hash);
CREATE INDEX quote_links_of_quote ON quote_links (org_id, quote_id);
SELECT make_tenant_table('quote_links');
-- A link is looked up before its organization is known.
CREATE POLICY look_up ON quote_links FOR SELECT TO opsc_owner USING (true);
GRANT SELECT ON quote_links TO opsc_app;
GRANT SELECT, INSERT ON quote_links TO opsc_deliver;

CREATE FUNCTION org_of_quote_link(hash bytea) RETURNS uuid
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT l.org_id FROM public.quote_links l WHERE l.token_hash = hash;
END;
REVOKE EXECUTE ON FUNCTION org_of_quote_link FROM PUBLIC;
GRANT EXECUTE ON FUNCTION org_of_quote_link TO opsc_app;

-- Inspections -------------------------------------------------------------------------------------

CREATE TABLE inspection_templates (
    org_id uuid NOT NULL REFERENCES organizations,
    id uuid NOT NULL,
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
    name_key text COLLATE "C" NOT NULL
        GENERATED ALWAYS AS (lower(name COLLATE pg_c_utf8)) STORED,
    version integer NOT NULL CHECK (version > 0),  -- the newest one
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    deleted_at timestamptz,
    PRIMARY KEY (org_id, id)
);
CREATE INDEX inspection_templates_newest ON inspection_templates (org_id, created_at DESC, id DESC);
CREATE INDEX inspection_templates_name ON inspection_templates (org_id, name_key);
SELECT make_resource('inspection_templates', audited_as => 'inspection_template', counted => true,
    gone_at => 'deleted_at', names => 'name');
GRANT SELECT, INSERT, UPDATE (name, version, updated_at, deleted_at) ON inspection_templates
    TO opsc_app;

-- Never changed. sections: [{title, questions: [{id, type, label, required, ...}]}].
CREATE TABLE inspection_template_versions (
    org_id uuid NOT NULL,
    template_id uuid NOT NULL,
    version integer NOT NULL CHECK (version > 0),
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
    sections jsonb NOT NULL CHECK (jsonb_typeof(sections) = 'array'),
    questions integer NOT NULL CHECK (questions BETWEEN 1 AND 200),  -- how many
    created_by uuid NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (org_id, template_id, version),
    FOREIGN KEY (org_id, template_id) REFERENCES inspection_templates (org_id, id),
    FOREIGN KEY (org_id, created_by) REFERENCES users (org_id, id),
    CONSTRAINT inspection_template_versions_sections CHECK (
        version <= 1000 AND jsonb_array_length(sections) <= 50
        AND length(sections::text) <= 10000000)
);
SELECT make_tenant_table('inspection_template_versions');
GRANT SELECT, INSERT ON inspection_template_versions TO opsc_app;

-- answers: {question: {value, note}}. defects: [{question_id, label, note}].
CREATE TABLE inspection_forms (
    org_id uuid NOT NULL REFERENCES organizations,
    id uuid NOT NULL,
    template_id uuid NOT NULL,
    template_version integer NOT NULL,
    asset_id uuid,
    site_id uuid,
    employee_id uuid,
    work_order_id uuid,
    state text NOT NULL CHECK (state IN ('draft', 'submitted', 'superseded')),
    answers jsonb NOT NULL CHECK (jsonb_typeof(answers) = 'object'),
    defects jsonb NOT NULL CHECK (jsonb_typeof(defects) = 'array'),
    supersedes_id uuid,  -- the form that this one corrects
    superseded_by_id uuid,  -- the form that corrects this one
    created_by uuid NOT NULL,
    submitted_by uuid,
    submitted_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (org_id, id),
    FOREIGN KEY (org_id, template_id, template_version)
        REFERENCES inspection_template_versions (org_id, template_id, version),
    FOREIGN KEY (org_id, asset_id) REFERENCES assets (org_id, id),
    FOREIGN KEY (org_id, site_id) REFERENCES sites (org_id, id),
    FOREIGN KEY (org_id, employee_id) REFERENCES employees (org_id, id),
    FOREIGN KEY (org_id, supersedes_id) REFERENCES inspection_forms (org_id, id),
    FOREIGN KEY (org_id, superseded_by_id) REFERENCES inspection_forms (org_id, id),
    FOREIGN KEY (org_id, created_by) REFERENCES users (org_id, id),
    FOREIGN KEY (org_id, submitted_by) REFERENCES users (org_id, id),
    CHECK (supersedes_id <> id),
    CHECK ((submitted_by IS NULL) = (state = 'draft')),
    CHECK ((submitted_at IS NULL) = (state = 'draft')),
    CHECK ((superseded_by_id IS NULL) = (state <> 'superseded')),
    CONSTRAINT inspection_forms_answers CHECK (
        jsonb_array_length(defects) <= 200 AND length(answers::text) <= 10000000)
);
CREATE INDEX inspection_forms_newest ON inspection_forms (org_id, created_at DESC, id DESC);
CREATE INDEX inspection_forms_of_template
    ON inspection_forms (org_id, template_id, created_at DESC, id DESC);
CREATE INDEX inspection_forms_by_state
    ON inspection_forms (org_id, state, created_at DESC, id DESC);
CREATE INDEX inspection_forms_of_asset
    ON inspection_forms (org_id, asset_id, created_at DESC, id DESC) WHERE asset_id IS NOT NULL;
CREATE INDEX inspection_forms_of_site
    ON inspection_forms (org_id, site_id, created_at DESC, id DESC) WHERE site_id IS NOT NULL;
CREATE INDEX inspection_forms_of_employee
    ON inspection_forms (org_id, employee_id, created_at DESC, id DESC)
    WHERE employee_id IS NOT NULL;
CREATE INDEX inspection_forms_of_work_order
    ON inspection_forms (org_id, work_order_id, created_at DESC, id DESC)
    WHERE work_order_id IS NOT NULL;
CREATE INDEX inspection_forms_failed ON inspection_forms (org_id, created_at DESC, id DESC)
    WHERE state <> 'draft' AND defects <> '[]';
CREATE INDEX inspection_forms_passed ON inspection_forms (org_id, created_at DESC, id DESC)
    WHERE state <> 'draft' AND defects = '[]';
-- A form is its own record; what is changed of it later is written down.
SELECT make_resource('inspection_forms', audited_as => 'inspection_form',
    audited_on => 'UPDATE OR DELETE', counted => true);
GRANT SELECT, INSERT, UPDATE (asset_id, site_id, employee_id, state, answers, defects,
    superseded_by_id, submitted_by, submitted_at, updated_at, work_order_id) ON inspection_forms
    TO opsc_app;

-- The photos of submitted forms: their attachments stay.
CREATE TABLE inspection_photos (
    org_id uuid NOT NULL,
    form_id uuid NOT NULL,
    attachment_id uuid NOT NULL,
    PRIMARY KEY (org_id, form_id, attachment_id),
    FOREIGN KEY (org_id, form_id) REFERENCES inspection_forms (org_id, id),
    CONSTRAINT inspection_photo_is_there
        FOREIGN KEY (org_id, attachment_id) REFERENCES attachments (org_id, id)
);
CREATE INDEX inspection_photos_by_attachment ON inspection_photos (org_id, attachment_id);
SELECT make_tenant_table('inspection_photos');
GRANT SELECT, INSERT ON inspection_photos TO opsc_app;

-- Work orders -------------------------------------------------------------------------------------

-- checklist: [{"text", "done", "by", "at"}, ...]. started_at: of the first start. ended_at: when it
-- was completed, cancelled or given up; NULL again once it is reopened. due_key: lists are sorted by
-- it; orders without a due time come last.
CREATE TABLE work_orders (
    org_id uuid NOT NULL REFERENCES organizations,
    id uuid NOT NULL,
    number integer NOT NULL,
    title text NOT NULL CHECK (length(title) BETWEEN 1 AND 200),
    description text CHECK (length(description) BETWEEN 1 AND 10000),
    priority text NOT NULL CHECK (priority IN ('low', 'normal', 'high', 'urgent')),
    state text NOT NULL CHECK (state IN (
        'draft', 'created', 'assigned', 'started', 'on_hold', 'completed', 'closed', 'cancelled',
        'cannot_complete')),
    client_id uuid,
    site_id uuid,
    parent_id uuid,
    quote_id uuid,  -- that it was made of
    inspection_form_id uuid,  -- with the question: the defect that it mends
    question_id text CHECK (length(question_id) BETWEEN 1 AND 100),
    planned_start timestamptz,
    planned_end timestamptz,
    due_at timestamptz,
    due_key timestamptz NOT NULL
        GENERATED ALWAYS AS (coalesce(due_at, timestamptz '9999-12-31 00:00:00+00')) STORED,
    checklist jsonb NOT NULL DEFAULT '[]' CHECK (jsonb_typeof(checklist) = 'array'),
    labour_cost_cents bigint CHECK (labour_cost_cents >= 0),
    -- What an hour of each employee cost when the order was closed: {employee_id: [cents,
    -- currency]}, or nulls. NULL: it is not closed, or the rates are not known.
    labour_rates jsonb CHECK (jsonb_typeof(labour_rates) = 'object'),
    currency text CHECK (currency ~ '^[A-Z]{3}$'),
    started_at timestamptz,
    ended_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    deleted_at timestamptz,
    PRIMARY KEY (org_id, id),
    UNIQUE (org_id, number),
    FOREIGN KEY (org_id, client_id) REFERENCES clients (org_id, id),
    FOREIGN KEY (org_id, site_id) REFERENCES sites (org_id, id),
    FOREIGN KEY (org_id, parent_id) REFERENCES work_orders (org_id, id),
    CHECK (parent_id <> id),
    CHECK ((planned_start IS NULL) = (planned_end IS NULL)),
    CHECK (planned_start <= planned_end),
    CHECK (labour_cost_cents IS NULL OR currency IS NOT NULL),
    CONSTRAINT work_orders_quote FOREIGN KEY (org_id, quote_id) REFERENCES quotes (org_id, id),
    CONSTRAINT work_orders_inspection_form
        FOREIGN KEY (org_id, inspection_form_id) REFERENCES inspection_forms (org_id, id),
    CONSTRAINT work_order_of_a_defect
        CHECK ((inspection_form_id IS NULL) = (question_id IS NULL)),
    -- Somebody signed for it.
    CONSTRAINT work_orders_signed_stay
        CHECK (deleted_at IS NULL OR state NOT IN ('completed', 'closed')),
    CONSTRAINT work_orders_checklist CHECK (
        jsonb_array_length(checklist) <= 200 AND length(checklist::text) <= 1000000)
);
CREATE INDEX work_orders_newest ON work_orders (org_id, created_at DESC, id DESC);
CREATE INDEX work_orders_due ON work_orders (org_id, due_key, id);
CREATE INDEX work_orders_by_state ON work_orders (org_id, state, created_at DESC, id DESC);
CREATE INDEX work_orders_by_priority ON work_orders (org_id, priority, created_at DESC, id DESC);
CREATE INDEX work_orders_of_client ON work_orders (org_id, client_id, created_at DESC, id DESC)
    WHERE client_id IS NOT NULL;
CREATE INDEX work_orders_of_site ON work_orders (org_id, site_id, created_at DESC, id DESC)
    WHERE site_id IS NOT NULL;
CREATE INDEX work_orders_of_parent ON work_orders (org_id, parent_id, created_at DESC, id DESC)
    WHERE parent_id IS NOT NULL;
CREATE INDEX work_orders_planned_start ON work_orders (org_id, planned_start, planned_end, id)
    WHERE planned_start IS NOT NULL;
CREATE INDEX work_orders_planned_end ON work_orders (org_id, planned_end, planned_start, id)
    WHERE planned_start IS NOT NULL;
CREATE INDEX work_orders_open_due ON work_orders (org_id, due_key, created_at, id)
    WHERE state <> ALL ('{completed,closed,cancelled,cannot_complete}'::text[]);
-- The expression is that of `db/resources/work_orders.py`.
CREATE INDEX work_orders_prioritized ON work_orders (org_id, (
    CASE priority WHEN 'urgent' THEN 4 WHEN 'high' THEN 3 WHEN 'normal' THEN 2 ELSE 1 END), id);
CREATE UNIQUE INDEX work_order_of_quote ON work_orders (org_id, quote_id)
    WHERE quote_id IS NOT NULL;
CREATE UNIQUE INDEX work_order_of_defect ON work_orders (org_id, inspection_form_id, question_id)
    WHERE inspection_form_id IS NOT NULL;
-- The expression is that of `db/resources/work_orders.py`.
CREATE INDEX work_orders_by_plan ON work_orders (
    org_id, coalesce(planned_start, timestamptz '9999-12-31 00:00:00+00'), id);
ALTER TABLE punches ADD CONSTRAINT punches_work_order
    FOREIGN KEY (org_id, work_order_id) REFERENCES work_orders (org_id, id);
ALTER TABLE shifts ADD CONSTRAINT shifts_work_order
    FOREIGN KEY (org_id, work_order_id) REFERENCES work_orders (org_id, id);
ALTER TABLE attachments ADD CONSTRAINT attachments_work_order
    FOREIGN KEY (org_id, work_order_id) REFERENCES work_orders (org_id, id);
ALTER TABLE stock_movements ADD CONSTRAINT stock_movements_work_order
    FOREIGN KEY (org_id, work_order_id) REFERENCES work_orders (org_id, id);
ALTER TABLE inspection_forms ADD CONSTRAINT inspection_forms_work_order
    FOREIGN KEY (org_id, work_order_id) REFERENCES work_orders (org_id, id);
SELECT make_resource('work_orders', audited_as => 'work_order', counted => true,
    gone_at => 'deleted_at', codes => 'number', names => 'title');
-- A quote says which work order was made of it.
GRANT SELECT, INSERT, UPDATE (title, description, priority, state, client_id, site_id, parent_id,
    planned_start, planned_end, due_at, checklist, labour_cost_cents, currency, started_at,
    ended_at, updated_at, deleted_at, labour_rates) ON work_orders TO opsc_app;
GRANT SELECT ON work_orders TO opsc_ingest;
GRANT SELECT (org_id, id, quote_id) ON work_orders TO opsc_deliver;

CREATE TABLE work_order_assignees (
    org_id uuid NOT NULL,
    work_order_id uuid NOT NULL,
    employee_id uuid NOT NULL,
    PRIMARY KEY (org_id, work_order_id, employee_id),
    FOREIGN KEY (org_id, work_order_id) REFERENCES work_orders (org_id, id),
    FOREIGN KEY (org_id, employee_id) REFERENCES employees (org_id, id)
);
CREATE INDEX work_order_assignees_of_employee
    ON work_order_assignees (org_id, employee_id, work_order_id);
SELECT make_resource('work_order_assignees', audited_as => 'work_order',
    id_column => 'work_order_id');
GRANT SELECT, INSERT, DELETE ON work_order_assignees TO opsc_app;
GRANT SELECT ON work_order_assignees TO opsc_ingest;

CREATE TABLE work_order_assets (
    org_id uuid NOT NULL,
    work_order_id uuid NOT NULL,
    asset_id uuid NOT NULL,
    PRIMARY KEY (org_id, work_order_id, asset_id),
    FOREIGN KEY (org_id, work_order_id) REFERENCES work_orders (org_id, id),
    FOREIGN KEY (org_id, asset_id) REFERENCES assets (org_id, id)
);
CREATE INDEX work_order_assets_of_asset ON work_order_assets (org_id, asset_id, work_order_id);
SELECT make_resource('work_order_assets', audited_as => 'work_order', id_column => 'work_order_id');
GRANT SELECT, INSERT, DELETE ON work_order_assets TO opsc_app;

-- A part that an order plans or uses. warehouse_id: where it is reserved; NULL: not chosen.
-- reserved: of what is still to be used. used: less what came back. cost: of what was used, in whole
-- cents of the part's currency, as it was then.
CREATE TABLE work_order_parts (
    org_id uuid NOT NULL,
    id uuid NOT NULL,
    work_order_id uuid NOT NULL,
    part_id uuid NOT NULL,
    warehouse_id uuid,
    planned_milli bigint NOT NULL CHECK (planned_milli BETWEEN 0 AND 1000000000000),
    reserved_milli bigint NOT NULL DEFAULT 0,
    used_milli bigint NOT NULL DEFAULT 0 CHECK (used_milli BETWEEN 0 AND 1000000000000),
    cost_cents bigint NOT NULL DEFAULT 0 CHECK (cost_cents >= 0),
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (org_id, id),
    CONSTRAINT work_order_part_once UNIQUE (org_id, work_order_id, part_id),
    FOREIGN KEY (org_id, work_order_id) REFERENCES work_orders (org_id, id),
    FOREIGN KEY (org_id, part_id) REFERENCES parts (org_id, id),
    FOREIGN KEY (org_id, warehouse_id) REFERENCES warehouses (org_id, id),
    CHECK (reserved_milli = 0 OR warehouse_id IS NOT NULL),
    CONSTRAINT work_order_part_reserved
        CHECK (reserved_milli BETWEEN 0 AND greatest(planned_milli - used_milli, 0))
);
CREATE INDEX work_order_parts_of_order
    ON work_order_parts (org_id, work_order_id, created_at DESC, id DESC);
CREATE INDEX work_order_parts_reserved
    ON work_order_parts (org_id, part_id, warehouse_id) WHERE reserved_milli > 0;
CREATE INDEX work_order_parts_of_part ON work_order_parts (org_id, part_id)
    WHERE planned_milli > used_milli;
CREATE INDEX work_order_parts_of_warehouse ON work_order_parts (org_id, warehouse_id)
    WHERE planned_milli > used_milli;
-- The ledger has what is reserved and used; what somebody plans is written down.
SELECT make_resource('work_order_parts', audited_as => 'work_order', id_column => 'work_order_id',
    audited_on => 'INSERT OR DELETE OR UPDATE OF planned_milli, warehouse_id');
GRANT SELECT, INSERT (org_id, id, work_order_id, part_id, warehouse_id, planned_milli, created_at,
    updated_at), UPDATE (warehouse_id, planned_milli, updated_at) ON work_order_parts TO opsc_app;

CREATE TABLE work_order_comments (
    org_id uuid NOT NULL,
    id uuid NOT NULL,
    work_order_id uuid NOT NULL,
    user_id uuid NOT NULL,
    text text NOT NULL CHECK (length(text) BETWEEN 1 AND 10000),
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (org_id, id),
    FOREIGN KEY (org_id, work_order_id) REFERENCES work_orders (org_id, id),
    FOREIGN KEY (org_id, user_id) REFERENCES users (org_id, id)
);
CREATE INDEX work_order_comments_of_order
    ON work_order_comments (org_id, work_order_id, created_at DESC, id DESC);
SELECT make_resource('work_order_comments', audited_as => 'work_order',
    id_column => 'work_order_id');
GRANT SELECT, INSERT ON work_order_comments TO opsc_app;

-- Each way from a state to another that somebody took; never changed. from_state NULL: it was made.
-- The last columns are the sign-off of a completion; signature: a PNG.
CREATE TABLE work_order_transitions (
    org_id uuid NOT NULL,
    id uuid NOT NULL,
    work_order_id uuid NOT NULL,
    verb text NOT NULL CHECK (length(verb) BETWEEN 1 AND 20),
    from_state text,
    state text NOT NULL,
    user_id uuid NOT NULL,
    lat double precision CHECK (lat BETWEEN -90 AND 90),
    lon double precision CHECK (lon BETWEEN -180 AND 180),
    zone_id uuid,  -- the geofence of the site when work was started or resumed
    reason text CHECK (length(reason) BETWEEN 1 AND 1000),
    -- How many items of the checklist nobody had done when somebody signed; NULL of other verbs,
    -- and where it is not known.
    open_tasks smallint CHECK (open_tasks BETWEEN 0 AND 200),
    signer_name text CHECK (length(signer_name) BETWEEN 1 AND 200),
    signed_at timestamptz,
    signature bytea CHECK (length(signature) BETWEEN 8 AND 150000),
    signature_attachment_id uuid,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (org_id, id),
    FOREIGN KEY (org_id, work_order_id) REFERENCES work_orders (org_id, id),
    FOREIGN KEY (org_id, user_id) REFERENCES users (org_id, id),
    CHECK ((lat IS NULL) = (lon IS NULL)),
    CHECK ((signer_name IS NULL) = (signed_at IS NULL)),
    CONSTRAINT transition_says_why CHECK (
        (verb IN ('hold', 'cancel', 'cannot-complete')) = (reason IS NOT NULL)),
    CONSTRAINT completion_is_signed CHECK ((verb = 'complete') = (signer_name IS NOT NULL)),
    CONSTRAINT work_order_signature_is_there FOREIGN KEY (org_id, signature_attachment_id)
        REFERENCES attachments (org_id, id),
    CONSTRAINT work_order_transitions_zone
        FOREIGN KEY (org_id, zone_id) REFERENCES zones (org_id, id),
    CONSTRAINT work_order_transitions_open_tasks
        CHECK (open_tasks IS NULL OR verb = 'complete')
);
CREATE INDEX work_order_transitions_of_order
    ON work_order_transitions (org_id, work_order_id, created_at DESC, id DESC);
CREATE INDEX work_order_signatures
    ON work_order_transitions (org_id, signature_attachment_id)
    WHERE signature_attachment_id IS NOT NULL;
CREATE INDEX work_order_transitions_of_zone ON work_order_transitions (org_id, zone_id)
    WHERE zone_id IS NOT NULL;
-- An order is created once.
CREATE UNIQUE INDEX work_order_transitions_once
    ON work_order_transitions (org_id, work_order_id) WHERE verb = 'create';
SELECT make_tenant_table('work_order_transitions');
-- A shift names the order that was in somebody's hands at the claimed time.
GRANT SELECT, INSERT ON work_order_transitions TO opsc_app;
GRANT SELECT (org_id, id, work_order_id, state, created_at) ON work_order_transitions
    TO opsc_ingest;

-- Stock by its movements --------------------------------------------------------------------------

-- Movements alone change levels: triggers keep what is on hand, reserved and used, and what it costs.

-- The average after more came in, rounded half to even (`operations/stock.py`).
CREATE FUNCTION moved_average(on_hand bigint, average bigint, more bigint, cost bigint)
    RETURNS bigint LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    total constant numeric := on_hand::numeric * average + more::numeric * cost;
    divisor constant numeric := on_hand + more;
    quotient constant numeric := div(total, divisor);
    twice_rest constant numeric := 2 * (total - quotient * divisor);
BEGIN
    RETURN quotient + (twice_rest > divisor
                       OR (twice_rest = divisor AND mod(quotient, 2) = 1))::integer;
END
$$;
REVOKE EXECUTE ON FUNCTION moved_average FROM PUBLIC;

-- Changes what a work order has of a part (`operations/work_orders/parts.py`).
CREATE FUNCTION keep_order_part(movement stock_movements) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    quantity constant bigint := movement.quantity_milli;
BEGIN
    UPDATE work_order_parts AS part
       SET reserved_milli = part.reserved_milli + movement.reserved_change_milli,
           used_milli = part.used_milli + CASE movement.kind
               WHEN 'consume' THEN quantity WHEN 'return' THEN -quantity ELSE 0 END,
           cost_cents = CASE movement.kind
               WHEN 'consume' THEN part.cost_cents + div(
                   2 * div(quantity::numeric * coalesce(movement.unit_cost_microcents, 0), 1000)
                   + 1000000, 2000000)
               WHEN 'return' THEN div(
                   2::numeric * part.cost_cents * (part.used_milli - quantity) + part.used_milli,
                   2 * part.used_milli)
               ELSE part.cost_cents END,
           updated_at = movement.created_at
     WHERE part.org_id = movement.org_id AND part.work_order_id = movement.work_order_id
       AND part.part_id = movement.part_id
       AND (movement.reserved_change_milli = 0 OR part.warehouse_id = movement.warehouse_id)
       AND (movement.kind <> 'return' OR part.used_milli >= quantity);
    IF NOT FOUND THEN
        RAISE check_violation USING CONSTRAINT = 'stock_movements_order_part',
            MESSAGE = 'the work order has no such part there, or has not used as much of it';
    END IF;
END
$$;
REVOKE EXECUTE ON FUNCTION keep_order_part FROM PUBLIC;

-- A movement changes the level, whatever the rules of movements are (`operations/stock.py`); what the
-- level cannot be is refused by its own checks.
CREATE FUNCTION keep_stock_levels() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    moved_day constant date := (NEW.created_at AT TIME ZONE 'UTC')::date;
    times constant integer := greatest(cardinality(NEW.serials), 1);  -- each serial counts
    place uuid := NEW.warehouse_id;
    on_hand bigint := NEW.on_hand_change_milli;
    reserved bigint := NEW.reserved_change_milli;
BEGIN
    LOOP
        UPDATE inventory AS level
           SET on_hand_milli = level.on_hand_milli + on_hand,
               reserved_milli = level.reserved_milli + reserved,
               average_microcents = CASE
                   WHEN on_hand <= 0 OR NEW.unit_cost_microcents IS NULL
                       THEN level.average_microcents
                   WHEN level.average_microcents IS NULL OR level.on_hand_milli = 0
                       THEN NEW.unit_cost_microcents
                   ELSE moved_average(level.on_hand_milli, level.average_microcents, on_hand,
                                      NEW.unit_cost_microcents) END,
               last_movement = NEW.number,
               moved_on = moved_day,
               moved_times = times
                   + CASE WHEN level.moved_on = moved_day THEN level.moved_times ELSE 0 END,
               updated_at = NEW.created_at
         WHERE level.org_id = NEW.org_id AND level.part_id = NEW.part_id
           AND level.warehouse_id = place AND level.last_movement < NEW.number;
        IF NOT FOUND THEN
            RAISE check_violation USING CONSTRAINT = 'stock_movements_level',
                MESSAGE = 'a movement has a level, and the next number there';
        END IF;
        EXIT WHEN NEW.to_warehouse_id IS NULL OR place = NEW.to_warehouse_id;
        place := NEW.to_warehouse_id;
        on_hand := -on_hand;
        reserved := 0;
    END LOOP;
    IF NEW.work_order_id IS NOT NULL THEN
        PERFORM keep_order_part(NEW);
    END IF;
    RETURN NULL;
END
$$;
REVOKE EXECUTE ON FUNCTION keep_stock_levels FROM PUBLIC;

-- "levels" fires before "lots": triggers go by their names.
CREATE TRIGGER levels AFTER INSERT ON stock_movements FOR EACH ROW
    EXECUTE FUNCTION keep_stock_levels();

-- Changes what is on hand of some lots or serials at a level, by as much each. A lot keeps its day
-- wherever it comes back to.
CREATE FUNCTION move_stock_lots(
    movement stock_movements, at_warehouse uuid, lots text[], each_milli bigint
) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    wanted constant text := CASE WHEN movement.lot IS NULL THEN 'serial' ELSE 'lot' END;
    changed bigint;
BEGIN
    UPDATE inventory SET lots_milli = lots_milli + each_milli * cardinality(lots)
     WHERE org_id = movement.org_id AND part_id = movement.part_id
       AND warehouse_id = at_warehouse AND tracking = wanted;
    IF NOT FOUND THEN
        RAISE 'the part is not tracked by %', wanted
            USING ERRCODE = 'check_violation', CONSTRAINT = 'stock_movements_tracking';
    END IF;
    IF each_milli >= 0 THEN
        INSERT INTO stock_lots AS kept (org_id, id, part_id, warehouse_id, lot, is_serial,
                                        expires_on, on_hand_milli, created_at, updated_at)
        SELECT movement.org_id, gen_random_uuid(), movement.part_id, at_warehouse, one,
               wanted = 'serial',
               coalesce(movement.expires_on, (
                   SELECT known.expires_on FROM stock_lots AS known
                    WHERE known.org_id = movement.org_id AND known.part_id = movement.part_id
                      AND known.lot = one AND known.is_serial = (wanted = 'serial')
                      AND known.expires_on IS NOT NULL
                    ORDER BY known.warehouse_id = movement.warehouse_id DESC,
                             known.updated_at DESC LIMIT 1)),
               each_milli, movement.created_at, movement.created_at
          FROM unnest(lots) AS one ORDER BY one
        ON CONFLICT (org_id, part_id, lot, warehouse_id) DO UPDATE
           SET on_hand_milli = kept.on_hand_milli + excluded.on_hand_milli,
               is_serial = excluded.is_serial,
               expires_on = CASE WHEN kept.is_serial = excluded.is_serial
                   THEN coalesce(excluded.expires_on, kept.expires_on)
                   ELSE excluded.expires_on END,
               updated_at = excluded.updated_at;
    ELSE
        UPDATE stock_lots
           SET on_hand_milli = on_hand_milli + each_milli, updated_at = movement.created_at
         WHERE org_id = movement.org_id AND part_id = movement.part_id
           AND warehouse_id = at_warehouse AND lot = ANY (lots)
           AND is_serial = (wanted = 'serial');
        GET DIAGNOSTICS changed = ROW_COUNT;
        IF changed <> cardinality(lots) THEN
            RAISE 'a % that goes out is not in stock', wanted
                USING ERRCODE = 'check_violation', CONSTRAINT = 'stock_lots_are_there';
        END IF;
    END IF;
END
$$;
REVOKE EXECUTE ON FUNCTION move_stock_lots FROM PUBLIC;

CREATE FUNCTION keep_stock_lots() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    lots constant text[] := coalesce(NEW.serials, ARRAY[NEW.lot]);
    each_milli constant bigint := NEW.on_hand_change_milli / cardinality(lots);
BEGIN
    PERFORM move_stock_lots(NEW, NEW.warehouse_id, lots, each_milli);
    IF NEW.to_warehouse_id IS NOT NULL THEN
        PERFORM move_stock_lots(NEW, NEW.to_warehouse_id, lots, -each_milli);
    END IF;
    INSERT INTO stock_movement_serials (org_id, serial, movement_id)
    SELECT NEW.org_id, one, NEW.id FROM unnest(NEW.serials) AS one;
    RETURN NULL;
END
$$;
REVOKE EXECUTE ON FUNCTION keep_stock_lots FROM PUBLIC;

-- What is on hand of a tracked part is what its lots add up to, as of each COMMIT.
CREATE FUNCTION check_stock_lots() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    -- Whoever acts for another organization by now does not get around it: no row agrees then.
    IF NOT EXISTS (SELECT FROM inventory WHERE org_id = NEW.org_id AND id = NEW.id
                      AND (tracking = 'none' OR lots_milli = on_hand_milli)) THEN
        RAISE 'the lots do not add up to what is on hand'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'inventory_lots_add_up';
    END IF;
    RETURN NULL;
END
$$;
REVOKE EXECUTE ON FUNCTION check_stock_lots FROM PUBLIC;

CREATE FUNCTION refuse_tracking() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    RAISE 'the part is in stock'
        USING ERRCODE = 'check_violation', CONSTRAINT = 'inventory_tracking_stays';
END
$$;
REVOKE EXECUTE ON FUNCTION refuse_tracking FROM PUBLIC;

CREATE TRIGGER lots AFTER INSERT ON stock_movements FOR EACH ROW
    WHEN (NEW.lot IS NOT NULL OR NEW.serials IS NOT NULL) EXECUTE FUNCTION keep_stock_lots();

CREATE CONSTRAINT TRIGGER lots_add_up AFTER INSERT OR UPDATE ON inventory
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
    WHEN (NEW.tracking <> 'none' AND NEW.lots_milli <> NEW.on_hand_milli)
    EXECUTE FUNCTION check_stock_lots();

CREATE TRIGGER tracking_stays BEFORE UPDATE ON inventory FOR EACH ROW
    WHEN (NEW.tracking <> OLD.tracking AND OLD.on_hand_milli <> 0)
    EXECUTE FUNCTION refuse_tracking();

-- Events ------------------------------------------------------------------------------------------

-- The outbox. `position` is the order of writing; `seq` is given after commit by the sequencer,
-- without gaps per organization, so that a reader that resumes from a seq misses nothing.
CREATE TABLE events (
    org_id uuid NOT NULL,
    id uuid NOT NULL,
    type text NOT NULL,
    -- An example for one endpoint: no seq, and in no list of events.
    is_test boolean NOT NULL DEFAULT false,
    occurred_at timestamptz NOT NULL,
    -- By the clock, not by when the transaction began: never before an `occurred_at` that the API
    -- read from the same clock.
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    data json NOT NULL,
    position bigint GENERATED ALWAYS AS IDENTITY,
    seq bigint,
    PRIMARY KEY (org_id, id)
);
-- Partial: an event that is written costs it nothing, and a look-up of one event by its key, as the
-- foreign key of deliveries does, can never be planned to walk an organization's events instead.
CREATE UNIQUE INDEX events_by_seq ON events (org_id, seq) WHERE seq IS NOT NULL;
CREATE INDEX events_of_tests ON events (org_id, created_at) WHERE is_test;
-- Partial, as `events_by_seq` is: an event that is written costs them nothing.
CREATE INDEX events_by_type ON events (org_id, type, seq) WHERE seq IS NOT NULL;
CREATE INDEX events_by_time ON events (org_id, occurred_at) WHERE seq IS NOT NULL;
-- Found by organization, so that all of them take turns.
CREATE INDEX events_without_seq ON events (org_id, position) WHERE seq IS NULL AND NOT is_test;
SELECT make_tenant_table('events');
-- The types of `api/openapi/event_types.py`; a test compares them.
CREATE POLICY of_a_type ON events AS RESTRICTIVE FOR INSERT TO opsc_app WITH CHECK (
    type = ANY ('{asset.geofence_breach,asset.geofence_dwell,asset.overspeed,asset.visit_amended,
        employee.punched_in,employee.punched_out,punch.amended,timesheet.approved,stock.low,
        quote.created,quote.sent,quote.accepted,quote.declined,quote.expired,work_order.created,
        work_order.assigned,work_order.started,work_order.completed,work_order.updated,
        work_order.cancelled,inspection.submitted,webhook_endpoint.disabled}'::text[]));
GRANT SELECT, INSERT (org_id, id, type, occurred_at, data, is_test) ON events TO opsc_app;
GRANT INSERT ON events TO opsc_ingest;
GRANT SELECT, INSERT (org_id, id, type, occurred_at, data), UPDATE (seq), DELETE ON events
    TO opsc_deliver;

-- The things that an event is about, by the ids in its data: assets, zones, employees and work
-- orders. The sequencer writes them with the seq, so ingest writes no more than before. An id has
-- its kind as its prefix.
CREATE TABLE event_subjects (
    org_id uuid NOT NULL,
    subject text COLLATE "C" NOT NULL CHECK (length(subject) BETWEEN 1 AND 40),
    seq bigint NOT NULL,
    PRIMARY KEY (org_id, subject, seq)
);
SELECT make_tenant_table('event_subjects');
GRANT SELECT ON event_subjects TO opsc_app;
GRANT SELECT, INSERT, DELETE ON event_subjects TO opsc_deliver;

-- Without SET, so that the planner can put its body into the statement that calls it. It takes any
-- JSON: the sequencer must not stop at a field of another form.
CREATE FUNCTION subjects_of_event(data json) RETURNS SETOF text LANGUAGE sql IMMUTABLE AS $$
    SELECT DISTINCT named.subject
      FROM pg_catalog.json_to_record(
               CASE WHEN pg_catalog.json_typeof(data) = 'object' THEN data ELSE '{}' END) AS fields (
           asset_id text, machine_id text, zone_id text, employee_id text, work_order_id text,
           asset_ids json, assignee_ids json)
     CROSS JOIN LATERAL (
           SELECT pg_catalog.unnest(ARRAY[fields.asset_id, fields.machine_id, fields.zone_id,
                                          fields.employee_id, fields.work_order_id])
           UNION ALL
           SELECT pg_catalog.json_array_elements_text(fields.asset_ids)
            WHERE pg_catalog.json_typeof(fields.asset_ids) = 'array'
           UNION ALL
           SELECT pg_catalog.json_array_elements_text(fields.assignee_ids)
            WHERE pg_catalog.json_typeof(fields.assignee_ids) = 'array') AS named (subject)
     WHERE pg_catalog.length(named.subject) BETWEEN 1 AND 40
$$;
REVOKE EXECUTE ON FUNCTION subjects_of_event FROM PUBLIC;
GRANT EXECUTE ON FUNCTION subjects_of_event TO opsc_deliver;

-- What somebody has to look at. Ingest makes one for each visit that alerts, in the transaction of
-- its events, one for each asset that is in the wrong place when the hours of a zone begin, and one
-- for each that leaves an allowed zone.
-- id: of the visit, or of the event where that has an alert of its own. Names and kind of zone: as
-- they were told. told: what of it was told, each word once. log: who did what, `{at, user_id,
-- state, assigned_to, text}`; user_id is null where ingest did it.
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
SELECT make_tenant_table('alerts');
GRANT SELECT, UPDATE (state, assigned_to, log, updated_at) ON alerts TO opsc_app;
GRANT SELECT, INSERT, UPDATE ON alerts TO opsc_ingest;
GRANT SELECT, DELETE ON alerts TO opsc_deliver;

-- A log with one more entry: 100 of them at most, of which a new one puts out the oldest. What happens by
-- itself has no more than a state.
CREATE FUNCTION alert_log(log jsonb, state text, entry jsonb DEFAULT '{}') RETURNS jsonb
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
    RETURN CASE WHEN jsonb_array_length(log) < 100 THEN log ELSE log - 0 END
        || (jsonb_build_object('at', now(), 'state', state) || entry);
REVOKE EXECUTE ON FUNCTION alert_log FROM PUBLIC;
GRANT EXECUTE ON FUNCTION alert_log TO opsc_ingest, opsc_app;

-- The places for open WebSockets and event streams that each process of the API holds, so that the
-- limit of an organization holds over all processes. One row of a process, since it is written anew
-- every other second. Unlogged: after a crash of the server the next round of each process writes
-- its row again.
CREATE UNLOGGED TABLE live_slots (
    process_id uuid PRIMARY KEY,
    seen_at timestamptz NOT NULL,
    org_ids uuid[] NOT NULL,
    slots integer[] NOT NULL CHECK (cardinality(slots) = cardinality(org_ids))
);

-- Writes the places that a process holds. For an organization that wants more there are one, and an
-- eighth of what is left, over all processes whose rows are not older than `dead_after_s`: the last
-- ones go one by one, so that few lie about unused. One process at a time, until it commits.
CREATE FUNCTION share_live_slots(
    of_process uuid, of_orgs uuid[], held integer[], wanting uuid, most integer,
    dead_after_s double precision) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    at timestamptz;
    place integer := array_position(of_orgs, wanting);
    free bigint;
BEGIN
    PERFORM pg_advisory_xact_lock(117922818, 1);  -- any numbers that are ours alone
    at := clock_timestamp();
    DELETE FROM public.live_slots AS other
     WHERE other.seen_at NOT BETWEEN at - make_interval(secs => dead_after_s) AND at
       AND other.process_id <> of_process;
    IF place IS NOT NULL THEN
        SELECT most - held[place] - coalesce(
                   sum(other.slots[array_position(other.org_ids, wanting)]), 0)
          INTO free
          FROM public.live_slots AS other WHERE other.process_id <> of_process;
        IF free > 0 THEN
            held[place] := held[place] + least(1 + free / 8, free);
        END IF;
    END IF;
    IF cardinality(of_orgs) = 0 THEN
        DELETE FROM public.live_slots AS own WHERE own.process_id = of_process;
    ELSE
        INSERT INTO public.live_slots AS own (process_id, seen_at, org_ids, slots)
        VALUES (of_process, at, of_orgs, held)
            ON CONFLICT (process_id) DO UPDATE
           SET seen_at = excluded.seen_at, org_ids = excluded.org_ids, slots = excluded.slots;
    END IF;
    RETURN coalesce(held[place], 0);
END
$$;
REVOKE EXECUTE ON FUNCTION share_live_slots FROM PUBLIC;
GRANT EXECUTE ON FUNCTION share_live_slots TO opsc_app;

-- Webhooks and mail -------------------------------------------------------------------------------

CREATE TABLE webhook_endpoints (
    org_id uuid NOT NULL REFERENCES organizations,
    id uuid NOT NULL,
    url text NOT NULL CHECK (length(url) BETWEEN 1 AND 2000),
    types text[] NOT NULL CHECK (cardinality(types) BETWEEN 1 AND 50),  -- patterns: *, asset.*, ...
    description text CHECK (length(description) <= 500),
    secret_encrypted bytea NOT NULL,
    state text NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'disabled')),
    disabled_reason text CHECK (disabled_reason IN ('user', 'failures', 'gone', 'backlog')),
    disabled_at timestamptz,
    payload text NOT NULL DEFAULT 'full' CHECK (payload IN ('full', 'thin')),
    is_ordered boolean NOT NULL DEFAULT false,
    -- An endpoint gets an event that passes all of its filters. Each filter is a list: empty passes
    -- all.
    asset_ids uuid[] NOT NULL DEFAULT '{}' CHECK (cardinality(asset_ids) <= 100),
    zone_ids uuid[] NOT NULL DEFAULT '{}' CHECK (cardinality(zone_ids) <= 100),
    client_ids uuid[] NOT NULL DEFAULT '{}' CHECK (cardinality(client_ids) <= 100),
    tags text[] NOT NULL DEFAULT '{}' CHECK (cardinality(tags) <= 50),
    -- Of the headers that its owner adds; their values are sealed.
    header_names text[] NOT NULL DEFAULT '{}' CHECK (cardinality(header_names) <= 10),
    headers_encrypted bytea CHECK (length(headers_encrypted) <= 20000),
    previous_secret_encrypted bytea,
    previous_secret_until timestamptz,
    -- Of the organization when the endpoint became active, the last time: it gets what is above.
    event_seq bigint NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    deleted_at timestamptz,
    PRIMARY KEY (org_id, id),
    CHECK ((state = 'disabled') = (disabled_reason IS NOT NULL)),
    CHECK ((state = 'disabled') = (disabled_at IS NOT NULL)),
    CHECK ((cardinality(header_names) > 0) = (headers_encrypted IS NOT NULL)),
    CHECK ((previous_secret_encrypted IS NULL) = (previous_secret_until IS NULL))
);
CREATE INDEX webhook_endpoints_newest ON webhook_endpoints (org_id, created_at DESC, id DESC)
    WHERE deleted_at IS NULL;
SELECT make_resource('webhook_endpoints', audited_as => 'webhook_endpoint', counted => true,
    gone_at => 'deleted_at');
GRANT SELECT, INSERT, UPDATE ON webhook_endpoints TO opsc_app;
GRANT SELECT, UPDATE (updated_at, state, disabled_reason, disabled_at) ON webhook_endpoints
    TO opsc_deliver;

-- Whoever makes deliveries locks the cursor, and looks at endpoints after that. So none is passed over
-- whose transaction has read a number and not yet committed.
CREATE FUNCTION begin_endpoint() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    INSERT INTO webhook_cursors (org_id, seq)
    SELECT org_id, organizations.event_seq FROM organizations WHERE org_id = NEW.org_id
        ON CONFLICT DO NOTHING;
    PERFORM FROM webhook_cursors WHERE org_id = NEW.org_id FOR SHARE;
    SELECT organizations.event_seq INTO STRICT NEW.event_seq
      FROM organizations WHERE org_id = NEW.org_id;
    RETURN NEW;
END
$$;
REVOKE EXECUTE ON FUNCTION begin_endpoint FROM PUBLIC;

CREATE TRIGGER begin_new BEFORE INSERT ON webhook_endpoints
    FOR EACH ROW EXECUTE FUNCTION begin_endpoint();

CREATE TRIGGER begin_anew BEFORE UPDATE OF state, deleted_at ON webhook_endpoints FOR EACH ROW
    WHEN (NEW.state = 'active' AND NEW.deleted_at IS NULL
          AND (OLD.state <> 'active' OR OLD.deleted_at IS NOT NULL))
    EXECUTE FUNCTION begin_endpoint();

-- The values of an event that endpoints filter by. Its assets are those that it names; its client is
-- the one that it names, else the clients of its assets. Worked out once for an event, whatever number
-- of endpoints has filters; not at all without of_org.
CREATE FUNCTION webhook_filter_values(
    of_org uuid, data json, OUT asset_ids uuid[], OUT zone_ids uuid[], OUT client_ids uuid[],
    OUT tags text[]
)
    LANGUAGE sql STABLE STRICT SET search_path = public, pg_catalog, pg_temp AS $$
    WITH named AS (
        SELECT uuid_of_id(data ->> 'asset_id') AS asset_id WHERE data ->> 'asset_id' IS NOT NULL
         UNION
        SELECT uuid_of_id(listed) FROM json_array_elements_text(
               CASE json_typeof(data -> 'asset_ids') WHEN 'array' THEN data -> 'asset_ids'
                    ELSE '[]' END) AS listed
    )
    SELECT ARRAY(SELECT asset_id FROM named WHERE asset_id IS NOT NULL),
           array_remove(ARRAY[uuid_of_id(data ->> 'zone_id')], NULL),
           CASE WHEN uuid_of_id(data ->> 'client_id') IS NOT NULL
                THEN ARRAY[uuid_of_id(data ->> 'client_id')]
                ELSE ARRAY(SELECT client_id FROM named JOIN assets ON assets.id = named.asset_id
                            WHERE assets.org_id = of_org AND client_id IS NOT NULL) END,
           ARRAY(SELECT tag FROM named JOIN asset_tags USING (asset_id)
                  CROSS JOIN LATERAL unnest(asset_tags.tags) AS tag
                  WHERE asset_tags.org_id = of_org AND asset_tags.valid_to IS NULL)
$$;

-- seq: of the last event whose deliveries are made. An organization has its row since its first endpoint.
CREATE TABLE webhook_cursors (
    org_id uuid PRIMARY KEY REFERENCES organizations,
    seq bigint NOT NULL CHECK (seq >= 0)
) WITH (fillfactor = 50);
SELECT make_tenant_table('webhook_cursors');
-- The trigger runs as the owner, and also for those who act for all organizations.
CREATE POLICY keep ON webhook_cursors TO opsc_owner USING (true) WITH CHECK (true);
GRANT SELECT, UPDATE (seq) ON webhook_cursors TO opsc_deliver;

-- The key begins with the event: it serves retention and lists of an event, too. A claim writes a
-- delivery again on the same page, where that has room, and then touches no index: more than half
-- of a page is room enough for all claims of a page at a time.
CREATE TABLE webhook_deliveries (
    org_id uuid NOT NULL,
    id uuid NOT NULL DEFAULT uuid7_of_now(),
    endpoint_id uuid NOT NULL,
    event_id uuid NOT NULL,
    seq bigint NOT NULL,  -- the event's, so that one endpoint is served in order
    -- No delivery of its endpoint is attempted while an ordered one of a smaller seq waits.
    is_ordered boolean NOT NULL DEFAULT false,
    state text NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'delivered', 'failed')),
    attempts integer NOT NULL DEFAULT 0,
    next_attempt_at timestamptz NOT NULL DEFAULT now(),
    claimed_until timestamptz,
    -- Who claimed it. A claimer holds an advisory lock (`db/delivery/webhook_claimers.py`): the
    -- claims of a process that was killed are free soon after, and not only when they lapse.
    claimer integer,
    last_status integer,
    last_error text CHECK (length(last_error) <= 500),
    delivered_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    FOREIGN KEY (org_id, endpoint_id) REFERENCES webhook_endpoints (org_id, id),
    FOREIGN KEY (org_id, event_id) REFERENCES events (org_id, id),
    PRIMARY KEY (org_id, event_id, endpoint_id)
) WITH (fillfactor = 45);
CREATE INDEX webhook_deliveries_due
    ON webhook_deliveries (endpoint_id, is_ordered, next_attempt_at, seq) WHERE state = 'pending';
CREATE INDEX webhook_deliveries_in_order ON webhook_deliveries (endpoint_id, seq)
    WHERE state = 'pending' AND is_ordered;
CREATE UNIQUE INDEX webhook_deliveries_newest ON webhook_deliveries (org_id, id);
CREATE INDEX webhook_deliveries_of_endpoint ON webhook_deliveries (org_id, endpoint_id, id);
CREATE INDEX webhook_deliveries_failed ON webhook_deliveries (org_id, endpoint_id, id)
    WHERE state = 'failed';
SELECT make_tenant_table('webhook_deliveries');
GRANT SELECT, INSERT (org_id, endpoint_id, event_id, seq, id, is_ordered), UPDATE (state, attempts,
    next_attempt_at, claimed_until, delivered_at) ON webhook_deliveries TO opsc_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON webhook_deliveries TO opsc_deliver;

-- Of an attempt without an answer the log has one error whatever went wrong, and no duration: it
-- would tell which ports of a host are closed, filtered or open.
CREATE TABLE webhook_attempts (
    org_id uuid NOT NULL,
    delivery_id uuid NOT NULL,
    attempted_at timestamptz NOT NULL,
    status integer,
    duration_ms integer CHECK (duration_ms >= 0),
    error text CHECK (length(error) <= 500),
    response_headers text CHECK (length(response_headers) <= 12000),  -- JSON
    response_body text CHECK (length(response_body) <= 1024),
    next_attempt_at timestamptz,  -- NULL: none follows
    PRIMARY KEY (org_id, delivery_id, attempted_at),
    CHECK ((status IS NULL) = (duration_ms IS NULL))
);
-- In a schema of their own, as chunks of gps_events are.
CREATE SCHEMA attempt_chunks;
SELECT create_hypertable('webhook_attempts', 'attempted_at',
                         chunk_time_interval => INTERVAL '1 day', create_default_indexes => false,
                         associated_schema_name => 'attempt_chunks');
SELECT make_tenant_table('webhook_attempts');
GRANT SELECT ON webhook_attempts TO opsc_app;
GRANT SELECT, INSERT ON webhook_attempts TO opsc_deliver;

-- Drops the chunks of attempts that end by then. Only the owner of a hypertable may.
CREATE FUNCTION drop_attempt_chunks(ended_by timestamptz) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    RETURN (SELECT count(*) FROM drop_chunks('webhook_attempts', older_than => ended_by));
END
$$;
REVOKE EXECUTE ON FUNCTION drop_attempt_chunks FROM PUBLIC;
GRANT EXECUTE ON FUNCTION drop_attempt_chunks TO opsc_deliver;

-- durations: numbers of answered attempts, by the classes of db/delivery/endpoint_hours.py.
CREATE TABLE webhook_endpoint_hours (
    org_id uuid NOT NULL,
    endpoint_id uuid NOT NULL,
    hour timestamptz NOT NULL,
    attempts bigint NOT NULL,
    accepted bigint NOT NULL,
    durations bigint[] NOT NULL CHECK (cardinality(durations) = 49),
    PRIMARY KEY (org_id, endpoint_id, hour)
) WITH (fillfactor = 50);
CREATE INDEX webhook_endpoint_hours_oldest ON webhook_endpoint_hours (hour);
SELECT make_tenant_table('webhook_endpoint_hours');
GRANT SELECT ON webhook_endpoint_hours TO opsc_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON webhook_endpoint_hours TO opsc_deliver;

-- Endpoints whose last attempt failed: since when no attempt was accepted, and the last failure. Not
-- columns of the endpoint, whose every change is audited.
CREATE TABLE webhook_failures (
    org_id uuid NOT NULL,
    endpoint_id uuid NOT NULL,
    failing_since timestamptz NOT NULL DEFAULT now(),
    failed_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (org_id, endpoint_id)
) WITH (fillfactor = 50);
SELECT make_tenant_table('webhook_failures');
GRANT SELECT, DELETE ON webhook_failures TO opsc_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON webhook_failures TO opsc_deliver;

-- Mail that is to be sent. The link is made when the mail is, so no secret waits here. A reset that
-- somebody asked for is written whether there is such a user or not, so that the answer takes the
-- same work: hence no foreign keys.
CREATE TABLE mail_outbox (
    org_id uuid NOT NULL,
    id uuid NOT NULL,
    purpose text NOT NULL CHECK (purpose IN (
        'invitation', 'password_reset', 'quote', 'acceptance', 'acceptance_notice',
        'endpoint_disabled')),
    quote_id uuid,
    endpoint_id uuid,  -- that was disabled
    email text NOT NULL CHECK (length(email) BETWEEN 3 AND 254),
    attempts integer NOT NULL DEFAULT 0,
    next_attempt_at timestamptz NOT NULL DEFAULT now(),
    claimed_until timestamptz,  -- until then one process is sending the letter
    gave_up_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (org_id, id),
    CONSTRAINT mail_outbox_endpoint
        CHECK ((purpose = 'endpoint_disabled') = (endpoint_id IS NOT NULL)),
    CONSTRAINT mail_outbox_quote CHECK (
        (purpose IN ('quote', 'acceptance', 'acceptance_notice')) = (quote_id IS NOT NULL))
);
CREATE INDEX mail_outbox_due ON mail_outbox (next_attempt_at) WHERE gave_up_at IS NULL;
-- Organizations take turns, so their letters are found one organization after the other.
CREATE INDEX mail_outbox_to_users ON mail_outbox (org_id, next_attempt_at)
    WHERE gave_up_at IS NULL AND purpose <> 'quote';
CREATE INDEX mail_outbox_quotes ON mail_outbox (org_id, next_attempt_at)
    WHERE gave_up_at IS NULL AND purpose = 'quote';
CREATE UNIQUE INDEX mail_outbox_of_quote ON mail_outbox (org_id, quote_id)
    WHERE gave_up_at IS NULL AND purpose = 'quote';
SELECT make_tenant_table('mail_outbox');
GRANT SELECT (purpose, gave_up_at, quote_id, claimed_until), INSERT, DELETE ON mail_outbox
    TO opsc_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON mail_outbox TO opsc_deliver;
