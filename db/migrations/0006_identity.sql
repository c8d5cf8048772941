-- Who signs in, and by what: users with a life of their own, sign-ins, refresh tokens, API keys,
-- single-use links, the mail that carries them, and the counts that slow guessing down.
--
-- Secrets are 256 random bits; only their SHA-256 is stored, which tells nothing of them.

-- Users ---------------------------------------------------------------------------------------

ALTER TABLE users
    ALTER COLUMN password_hash DROP NOT NULL,  -- NULL: invited, and has not accepted yet
    ADD COLUMN name text CHECK (length(name) BETWEEN 1 AND 200),
    ADD COLUMN deactivated_at timestamptz,     -- set: may do nothing, and neither may their keys
    ADD COLUMN updated_at timestamptz NOT NULL DEFAULT now();
CREATE INDEX users_newest ON users (org_id, created_at DESC, id DESC);

-- Sign-ins ------------------------------------------------------------------------------------

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

-- API keys ------------------------------------------------------------------------------------

CREATE TABLE api_keys (
    org_id uuid NOT NULL REFERENCES organizations,
    id uuid NOT NULL,
    user_id uuid NOT NULL,  -- as whom the key acts
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
    scopes text[] CHECK (cardinality(scopes) BETWEEN 1 AND 100),  -- NULL: all that the user may
    secret_hash bytea NOT NULL UNIQUE CHECK (length(secret_hash) = 32),
    last4 text NOT NULL CHECK (length(last4) = 4),
    previous_hash bytea UNIQUE CHECK (length(previous_hash) = 32),
    previous_expires_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz,
    last_used_at timestamptz,  -- to the minute
    revoked_at timestamptz,
    PRIMARY KEY (org_id, id),
    FOREIGN KEY (org_id, user_id) REFERENCES users (org_id, id),
    CHECK ((previous_hash IS NULL) = (previous_expires_at IS NULL))
);
CREATE INDEX api_keys_newest ON api_keys (org_id, created_at DESC, id DESC)
    WHERE revoked_at IS NULL;

-- Links and mail ------------------------------------------------------------------------------

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

-- Mail that is to be sent. The link is made when the mail is, so no secret waits here. A reset that
-- somebody asked for is written whether there is such a user or not, so that the answer takes the
-- same work: hence no foreign keys.
CREATE TABLE mail_outbox (
    org_id uuid NOT NULL,
    id uuid NOT NULL,
    purpose text NOT NULL CHECK (purpose IN ('invitation', 'password_reset')),
    email text NOT NULL CHECK (length(email) BETWEEN 3 AND 254),
    created_at timestamptz NOT NULL DEFAULT now(),
    attempts integer NOT NULL DEFAULT 0,
    next_attempt_at timestamptz NOT NULL DEFAULT now(),
    gave_up_at timestamptz,
    PRIMARY KEY (org_id, id)
);
CREATE INDEX mail_outbox_due ON mail_outbox (next_attempt_at) WHERE gave_up_at IS NULL;

-- Guessing ------------------------------------------------------------------------------------

-- How often signing in failed of late, by what it is counted for: an address, a user, a user at an
-- address. The key is a keyed hash of it, so the table names nobody. Lost in a crash, which does no
-- harm.
CREATE UNLOGGED TABLE sign_in_failures (
    key bytea PRIMARY KEY CHECK (length(key) = 32),
    failures double precision NOT NULL,
    counted_at timestamptz NOT NULL,
    blocked_until timestamptz NOT NULL,
    was_admitted boolean NOT NULL,  -- the last try
    trusted_until timestamptz       -- of a user at an address: they signed in there
);
CREATE INDEX sign_in_failures_oldest ON sign_in_failures (counted_at);

-- Row-level security --------------------------------------------------------------------------

DO $$
DECLARE
    tenant_table text;
BEGIN
    FOREACH tenant_table IN ARRAY ARRAY[
        'sign_ins', 'refresh_tokens', 'api_keys', 'user_links', 'mail_outbox']
    LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', tenant_table);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', tenant_table);
        EXECUTE format('CREATE POLICY tenant ON %I USING (org_id = (SELECT current_org_id()))',
                       tenant_table);
    END LOOP;
    -- For the functions below: a secret is looked up before its organization is known.
    FOREACH tenant_table IN ARRAY ARRAY[
        'users', 'sign_ins', 'refresh_tokens', 'api_keys', 'user_links']
    LOOP
        EXECUTE format('CREATE POLICY look_up ON %I FOR SELECT TO opsc_owner USING (true)',
                       tenant_table);
    END LOOP;
END
$$;

-- Looking up: a hash or ids in, ids out --------------------------------------------------------

CREATE FUNCTION caller_of_api_key(hash bytea)
    RETURNS TABLE (org_id uuid, user_id uuid, credential_id uuid, role text, scopes text[],
                   expires_at timestamptz)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT k.org_id, k.user_id, k.id, u.role, k.scopes,
           CASE WHEN k.secret_hash = hash THEN k.expires_at
                ELSE least(k.expires_at, k.previous_expires_at) END
      FROM public.api_keys k
      JOIN public.users u ON u.org_id = k.org_id AND u.id = k.user_id
     WHERE (k.secret_hash = hash OR (k.previous_hash = hash AND k.previous_expires_at > now()))
       AND k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > now())
       AND u.deactivated_at IS NULL;
END;

CREATE FUNCTION caller_of_session(hash bytea, idle interval)
    RETURNS TABLE (org_id uuid, user_id uuid, credential_id uuid, role text, scopes text[],
                   expires_at timestamptz)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT s.org_id, s.user_id, s.id, u.role, NULL::text[],
           least(s.expires_at, s.last_used_at + idle)
      FROM public.sign_ins s
      JOIN public.users u ON u.org_id = s.org_id AND u.id = s.user_id
     WHERE s.secret_hash = hash AND s.ended_at IS NULL AND s.expires_at > now()
       AND s.last_used_at + idle > now() AND u.deactivated_at IS NULL;
END;

CREATE FUNCTION caller_of_sign_in(of_org uuid, of_sign_in uuid)
    RETURNS TABLE (org_id uuid, user_id uuid, credential_id uuid, role text, scopes text[],
                   expires_at timestamptz)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT s.org_id, s.user_id, s.id, u.role, NULL::text[], s.expires_at
      FROM public.sign_ins s
      JOIN public.users u ON u.org_id = s.org_id AND u.id = s.user_id
     WHERE s.org_id = of_org AND s.id = of_sign_in AND s.kind = 'token' AND s.ended_at IS NULL
       AND s.expires_at > now() AND u.deactivated_at IS NULL;
END;

CREATE FUNCTION org_of_refresh_token(hash bytea) RETURNS uuid
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT t.org_id FROM public.refresh_tokens t WHERE t.token_hash = hash;
END;

CREATE FUNCTION org_of_user_link(hash bytea) RETURNS uuid
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT l.org_id FROM public.user_links l WHERE l.token_hash = hash;
END;

REVOKE EXECUTE ON FUNCTION caller_of_api_key, caller_of_session, caller_of_sign_in,
    org_of_refresh_token, org_of_user_link FROM PUBLIC;

-- Rights --------------------------------------------------------------------------------------

GRANT EXECUTE ON FUNCTION caller_of_api_key, caller_of_session, caller_of_sign_in,
    org_of_refresh_token, org_of_user_link TO opsc_app;
GRANT INSERT, UPDATE (name, role, password_hash, deactivated_at, updated_at) ON users TO opsc_app;
GRANT SELECT, INSERT, UPDATE (last_used_at, ended_at) ON sign_ins TO opsc_app;
GRANT SELECT, INSERT, UPDATE (used_at) ON refresh_tokens TO opsc_app;
GRANT SELECT, INSERT,
    UPDATE (secret_hash, last4, previous_hash, previous_expires_at, last_used_at, updated_at,
            revoked_at) ON api_keys TO opsc_app;
GRANT SELECT, DELETE ON user_links TO opsc_app;
GRANT INSERT ON mail_outbox TO opsc_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON sign_in_failures TO opsc_app;

GRANT SELECT (org_id, id, email, name, password_hash, deactivated_at) ON users TO opsc_deliver;
GRANT SELECT (name) ON organizations TO opsc_deliver;
GRANT INSERT, SELECT, DELETE ON user_links TO opsc_deliver;
GRANT SELECT, UPDATE, DELETE ON mail_outbox TO opsc_deliver;
GRANT SELECT, DELETE ON sign_ins, refresh_tokens, sign_in_failures TO opsc_deliver;
