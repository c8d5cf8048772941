-- What tables of tenants have in common, made by one function: schema.sql calls it for each of them.
--
-- Both can be called again. A migration that changes one of them calls it again for every table, and
-- tests/db/test_schema.py compares what is there with what they would make.

-- A table with org_id: whoever is under row-level security, and that is the owner too, reads and writes
-- the rows of the tenant alone.
CREATE OR REPLACE FUNCTION make_tenant_table(tenant_table text) RETURNS void
    LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', tenant_table);
    EXECUTE format('DROP POLICY IF EXISTS tenant ON %I', tenant_table);
    EXECUTE format('CREATE POLICY tenant ON %I USING (org_id = (SELECT current_org_id()))',
                   tenant_table);
END
$$;

-- The table of a resource: a tenant's, whose rows may be written into the audit trail, counted, and found
-- by their first letters.
--
-- audited_as: the kind of resource in the audit trail and in the search. id_column: its id. audited_on:
-- fewer actions, where a removal is only tidying up. New rows are written down by statement: up to 1,000
-- are made at once, and whoever makes zones keeps ingest waiting. Changes and removals are written down
-- when the transaction ends.
-- counted: in `row_counts`. gone_at: set in rows that lists do not show, but quotas count.
-- codes, names: columns that are searched, with commas. NULL: no search.
CREATE OR REPLACE FUNCTION make_resource(
    tenant_table text,
    audited_as text DEFAULT NULL,
    id_column text DEFAULT 'id',
    audited_on text DEFAULT 'INSERT OR UPDATE OR DELETE',
    counted boolean DEFAULT false,
    gone_at text DEFAULT NULL,
    codes text DEFAULT '',
    names text DEFAULT NULL
) RETURNS void
    LANGUAGE plpgsql AS $$
DECLARE
    audited_later constant text := regexp_replace(audited_on, '^INSERT( OR )?', '');
    old_trigger name;
    change record;
BEGIN
    PERFORM make_tenant_table(tenant_table);
    FOR old_trigger IN SELECT tgname FROM pg_trigger
         WHERE tgrelid = tenant_table::regclass
           AND tgfoid IN ('audit_row'::regproc, 'audit_new_rows'::regproc, 'count_row'::regproc,
                          'keep_search_terms'::regproc)
           AND tgname ~ '^(audit|audit_insert|count_.*|search_.*)$'
    LOOP
        EXECUTE format('DROP TRIGGER %I ON %I', old_trigger, tenant_table);
    END LOOP;

    IF audited_as IS NOT NULL AND audited_later <> audited_on THEN
        EXECUTE format(
            'CREATE TRIGGER audit_insert AFTER INSERT ON %I REFERENCING NEW TABLE AS new_rows'
            ' FOR EACH STATEMENT EXECUTE FUNCTION audit_new_rows(%L, %L)',
            tenant_table, audited_as, id_column);
    END IF;
    IF audited_as IS NOT NULL AND audited_later <> '' THEN
        EXECUTE format(
            'CREATE CONSTRAINT TRIGGER audit AFTER %s ON %I'
            ' DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION audit_row(%L, %L)',
            audited_later, tenant_table, audited_as, id_column);
    END IF;

    FOR change IN SELECT * FROM (VALUES
        ('count_insert', 'INSERT', 'NEW.%1$I IS NULL', 1, 1),
        ('count_insert_deleted', 'INSERT', 'NEW.%1$I IS NOT NULL', 0, 1),
        ('count_delete', 'UPDATE', 'OLD.%1$I IS NULL AND NEW.%1$I IS NOT NULL', -1, 0),
        ('count_restore', 'UPDATE', 'OLD.%1$I IS NOT NULL AND NEW.%1$I IS NULL', 1, 0),
        ('count_remove', 'DELETE', 'OLD.%1$I IS NULL', -1, -1),
        ('count_remove_deleted', 'DELETE', 'OLD.%1$I IS NOT NULL', 0, -1)
    ) AS change (name, action, condition, rows, stored)
     WHERE counted AND (gone_at IS NOT NULL OR name IN ('count_insert', 'count_remove'))
    LOOP
        EXECUTE format(
            'CREATE CONSTRAINT TRIGGER %I AFTER %s ON %I DEFERRABLE INITIALLY DEFERRED'
            ' FOR EACH ROW WHEN (%s) EXECUTE FUNCTION count_row(%L, %L)',
            change.name, change.action, tenant_table,
            CASE WHEN gone_at IS NULL THEN 'true' ELSE format(change.condition, gone_at) END,
            change.rows, change.stored);
    END LOOP;

    IF names IS NOT NULL THEN
        EXECUTE format(
            'CREATE TRIGGER search_insert AFTER INSERT ON %I FOR EACH ROW'
            ' EXECUTE FUNCTION keep_search_terms(%L, %L, %L)',
            tenant_table, audited_as, codes, names);
        EXECUTE format(
            'CREATE TRIGGER search_update AFTER UPDATE ON %I FOR EACH ROW WHEN (%s)'
            ' EXECUTE FUNCTION keep_search_terms(%L, %L, %L)',
            tenant_table,
            (SELECT string_agg(format('OLD.%1$I IS DISTINCT FROM NEW.%1$I', name), ' OR ')
               FROM string_to_table(concat_ws(',', nullif(codes, ''), names, gone_at), ',') AS name),
            audited_as, codes, names);
    END IF;
END
$$;

REVOKE EXECUTE ON FUNCTION make_tenant_table, make_resource FROM PUBLIC;
