-- New rows are written down by statement, not row by row: up to 1,000 are made at once, and whoever makes
-- zones keeps ingest waiting meanwhile.

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

-- As in `0008_manners.sql`, but for new rows, which are written down at once: changes and removals when
-- the transaction ends.
CREATE OR REPLACE FUNCTION audit(tenant_table regclass, resource_type text, id_column text,
                                 actions text DEFAULT 'INSERT OR UPDATE OR DELETE')
    RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    others constant text := regexp_replace(actions, '^INSERT( OR )?', '');
BEGIN
    IF others <> actions THEN
        EXECUTE format(
            'CREATE TRIGGER audit_insert AFTER INSERT ON %s REFERENCING NEW TABLE AS new_rows'
            ' FOR EACH STATEMENT EXECUTE FUNCTION audit_new_rows(%L, %L)',
            tenant_table, resource_type, id_column);
    END IF;
    IF others <> '' THEN
        EXECUTE format(
            'CREATE CONSTRAINT TRIGGER audit AFTER %s ON %s'
            ' DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION audit_row(%L, %L)',
            others, tenant_table, resource_type, id_column);
    END IF;
END
$$;

DO $$
DECLARE
    audited record;
BEGIN
    FOR audited IN
        SELECT tgrelid::regclass AS name, parts[1] AS actions, parts[2] AS resource_type,
               parts[3] AS id_column
          FROM pg_trigger,
               regexp_match(pg_get_triggerdef(pg_trigger.oid),
                            $r$AFTER (.*) ON .* EXECUTE FUNCTION audit_row\('(.*)', '(.*)'\)$r$) AS parts
         WHERE tgname = 'audit' AND parts[1] LIKE 'INSERT%'
    LOOP
        EXECUTE format('DROP TRIGGER audit ON %s', audited.name);
        PERFORM audit(audited.name, audited.resource_type, audited.id_column, audited.actions);
    END LOOP;
END
$$;
