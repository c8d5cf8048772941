-- Employees leave on a day, users lose their rights at a time that may lie ahead, and API keys know who
-- made them.

-- Employees ------------------------------------------------------------------------------------

-- left_on: the last day, in their time zone. Punches that are credited to a later time do not count.
-- active: false from the moment in which somebody says so; it stays true for those who leave at the
-- end of a day.
ALTER TABLE employees ADD COLUMN left_on date;

-- Whether somebody of this organization is employed now.
CREATE FUNCTION is_employed(of_org uuid, active boolean, left_on date, timezone text)
    RETURNS boolean LANGUAGE sql STABLE SET search_path = pg_catalog, public, pg_temp
BEGIN ATOMIC
    SELECT active AND (left_on IS NULL OR now() < (left_on + 1)::timestamp AT TIME ZONE coalesce(
               timezone, (SELECT o.timezone FROM organizations o WHERE o.org_id = of_org)));
END;
REVOKE EXECUTE ON FUNCTION is_employed FROM PUBLIC;
GRANT EXECUTE ON FUNCTION is_employed TO opsc_app;

GRANT SELECT (left_on) ON employees TO opsc_ingest;

-- As in `0052_less_for_each_order.sql`, and nobody who has left is given a work order.
CREATE OR REPLACE FUNCTION check_new_assignee() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    employed boolean;
BEGIN
    SELECT is_employed(org_id, active, left_on, timezone) INTO employed FROM employees
      WHERE org_id = NEW.org_id AND id = NEW.employee_id AND deleted_at IS NULL FOR SHARE;
    IF NOT FOUND THEN
        RAISE check_violation USING CONSTRAINT = 'work_orders_assignee_is_there',
            MESSAGE = 'nobody who is deleted is given a work order';
    ELSIF NOT employed THEN
        RAISE check_violation USING CONSTRAINT = 'work_orders_assignee_is_employed',
            MESSAGE = 'nobody who has left is given a work order';
    END IF;
    PERFORM FROM work_orders
      WHERE org_id = NEW.org_id AND id = NEW.work_order_id AND deleted_at IS NULL
        AND state NOT IN ('completed', 'closed', 'cancelled')
        FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RAISE check_violation USING CONSTRAINT = 'work_orders_fixed',
            MESSAGE = 'the assignees of a work order that is over do not change';
    END IF;
    PERFORM FROM work_order_assignees
      WHERE org_id = NEW.org_id AND work_order_id = NEW.work_order_id OFFSET 100 LIMIT 1;
    IF FOUND THEN
        RAISE check_violation USING CONSTRAINT = 'work_orders_most',
            MESSAGE = 'a work order has at most 100 assignees';
    END IF;
    RETURN NULL;
END
$$;

-- Adjustments ----------------------------------------------------------------------------------

-- Whoever made it was the employee whose hours these are.
ALTER TABLE timesheet_adjustments ADD COLUMN is_own boolean NOT NULL DEFAULT false;

-- Users and keys -------------------------------------------------------------------------------

-- is_service: a user of programs. Nobody signs in as them, so they have API keys and no password.
ALTER TABLE users ADD COLUMN is_service boolean NOT NULL DEFAULT false,
    ADD CONSTRAINT users_service CHECK (NOT is_service OR password_hash IS NULL) NOT VALID;

-- made_by: who saw the secret, since they made the key or rotated it last; previous_made_by: who saw
-- the one before. NULL: not known.
ALTER TABLE api_keys
    ADD COLUMN made_by uuid,
    ADD COLUMN previous_made_by uuid,
    ADD FOREIGN KEY (org_id, made_by) REFERENCES users (org_id, id) NOT VALID,
    ADD FOREIGN KEY (org_id, previous_made_by) REFERENCES users (org_id, id) NOT VALID;
GRANT UPDATE (made_by, previous_made_by) ON api_keys TO opsc_app;

-- `users.deactivated_at` may lie ahead: then the rights last until that time. As in
-- `0006_identity.sql` and `0016_sign_in_by_email.sql` but for this, and for who made a key.
DROP FUNCTION caller_of_api_key(bytea);
DROP FUNCTION caller_of_session(bytea, interval);
DROP FUNCTION caller_of_sign_in(uuid, uuid);

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

REVOKE EXECUTE ON FUNCTION caller_of_api_key, caller_of_session, caller_of_sign_in FROM PUBLIC;
GRANT EXECUTE ON FUNCTION caller_of_api_key, caller_of_session, caller_of_sign_in TO opsc_app;

CREATE OR REPLACE FUNCTION org_of_email(address text) RETURNS uuid
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT CASE WHEN count(*) = 1 THEN (array_agg(u.org_id))[1] END
      FROM public.users u
     WHERE u.email = address AND u.password_hash IS NOT NULL
       AND (u.deactivated_at IS NULL OR u.deactivated_at > now());
END;
