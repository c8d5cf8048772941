-- What is found by its first letters, how many rows of everything an organization has, and one table
-- of the numbers that it gave.

-- Numbers -------------------------------------------------------------------------------------

-- Row-level security is forced on the owner too, who runs this and has no tenant.
ALTER TABLE work_order_numbers NO FORCE ROW LEVEL SECURITY;
ALTER TABLE number_counters NO FORCE ROW LEVEL SECURITY;
INSERT INTO number_counters (org_id, kind, last)
SELECT org_id, 'work_order', last FROM work_order_numbers;
ALTER TABLE number_counters FORCE ROW LEVEL SECURITY;
DROP TABLE work_order_numbers;

-- How many rows -------------------------------------------------------------------------------

-- rows: as a list without filters shows. stored: with those that are deleted, which quotas count.
ALTER TABLE row_counts
    DROP CONSTRAINT row_counts_table_name_check,
    ADD COLUMN stored bigint NOT NULL DEFAULT 0;

-- Arguments: how many more rows there are, and how many more are stored.
CREATE OR REPLACE FUNCTION count_row() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    INSERT INTO row_counts AS kept (org_id, table_name, rows, stored)
    VALUES (coalesce(NEW.org_id, OLD.org_id), TG_TABLE_NAME, TG_ARGV[0]::bigint, TG_ARGV[1]::bigint)
    ON CONFLICT (org_id, table_name) DO UPDATE
       SET rows = kept.rows + excluded.rows, stored = kept.stored + excluded.stored;
    RETURN NULL;
END
$$;

DO $$
DECLARE
    counted record;
    change record;
    old_trigger name;
BEGIN
    FOR counted IN SELECT * FROM (VALUES
        ('api_keys', 'revoked_at'),
        ('assets', 'deleted_at'),
        ('attachments', NULL),
        ('clients', 'deleted_at'),
        ('employees', 'deleted_at'),
        ('gateways', NULL),
        ('inspection_forms', NULL),
        ('inspection_templates', 'deleted_at'),
        ('inventory', NULL),
        ('parts', 'deleted_at'),
        ('quotes', 'deleted_at'),
        ('sites', 'deleted_at'),
        ('trackers', NULL),
        ('users', NULL),
        ('warehouses', 'deleted_at'),
        ('webhook_endpoints', 'deleted_at'),
        ('work_orders', 'deleted_at'),
        ('zones', 'deleted_at')
    ) AS counted (table_name, gone_at)
    LOOP
        FOR old_trigger IN SELECT tgname FROM pg_trigger
             WHERE tgrelid = counted.table_name::regclass AND tgname LIKE 'count\_%'
        LOOP
            EXECUTE format('DROP TRIGGER %I ON %I', old_trigger, counted.table_name);
        END LOOP;
        FOR change IN SELECT * FROM (VALUES
            ('count_insert', 'INSERT', 'NEW.%1$I IS NULL', 1, 1),
            ('count_insert_deleted', 'INSERT', 'NEW.%1$I IS NOT NULL', 0, 1),
            ('count_delete', 'UPDATE', 'OLD.%1$I IS NULL AND NEW.%1$I IS NOT NULL', -1, 0),
            ('count_restore', 'UPDATE', 'OLD.%1$I IS NOT NULL AND NEW.%1$I IS NULL', 1, 0),
            ('count_remove', 'DELETE', 'OLD.%1$I IS NULL', -1, -1),
            ('count_remove_deleted', 'DELETE', 'OLD.%1$I IS NOT NULL', 0, -1)
        ) AS change (name, action, condition, rows, stored)
        LOOP
            CONTINUE WHEN counted.gone_at IS NULL
                AND change.name NOT IN ('count_insert', 'count_remove');
            EXECUTE format(
                'CREATE CONSTRAINT TRIGGER %I AFTER %s ON %I DEFERRABLE INITIALLY DEFERRED'
                ' FOR EACH ROW WHEN (%s) EXECUTE FUNCTION count_row(%L, %L)',
                change.name, change.action, counted.table_name,
                CASE WHEN counted.gone_at IS NULL THEN 'true'
                     ELSE format(change.condition, counted.gone_at) END,
                change.rows, change.stored);
        END LOOP;
        EXECUTE format('ALTER TABLE %I NO FORCE ROW LEVEL SECURITY', counted.table_name);
        EXECUTE format(
            'INSERT INTO row_counts (org_id, table_name, rows, stored)'
            ' SELECT org_id, %1$L, count(*) FILTER (WHERE %2$s), count(*) FROM %1$I GROUP BY org_id'
            ' ON CONFLICT (org_id, table_name) DO UPDATE'
            ' SET rows = excluded.rows, stored = excluded.stored',
            counted.table_name,
            CASE WHEN counted.gone_at IS NULL THEN 'true'
                 ELSE format('%I IS NULL', counted.gone_at) END);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', counted.table_name);
    END LOOP;
END
$$;

-- Search --------------------------------------------------------------------------------------

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

-- Writes the terms of a row anew. Codes: found as a whole first.
CREATE FUNCTION write_search_terms(
    of_org uuid, of_kind text, of_row uuid, codes text[], names text[]
) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    most constant integer := 12;  -- words of a text
    longest constant integer := 60;  -- characters of a term
    places smallint[] := '{}';
    terms text[] := '{}';
    one record;
    rest text COLLATE pg_c_utf8;
    behind text COLLATE pg_c_utf8;
BEGIN
    FOR one IN SELECT 0 AS place, unnest(codes) AS content
                UNION ALL SELECT 1, unnest(names)
    LOOP
        rest := btrim(regexp_replace(lower(one.content COLLATE pg_c_utf8), '\s+', ' ', 'g'));
        CONTINUE WHEN coalesce(rest, '') = '';
        places := places || one.place::smallint;
        terms := terms || left(rest, longest);
        FOR number IN 2 .. most LOOP
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

-- Arguments: the kind, and the columns of codes and those of names, with commas.
CREATE FUNCTION keep_search_terms() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    new_row jsonb := to_jsonb(NEW);
BEGIN
    IF TG_OP = 'UPDATE' THEN
        DELETE FROM search_terms WHERE org_id = NEW.org_id AND row_id = NEW.id;
    END IF;
    IF new_row ->> 'deleted_at' IS NULL THEN
        PERFORM write_search_terms(
            NEW.org_id, TG_ARGV[0], NEW.id,
            ARRAY(SELECT new_row ->> name FROM string_to_table(TG_ARGV[1], ',') AS name),
            ARRAY(SELECT new_row ->> name FROM string_to_table(TG_ARGV[2], ',') AS name));
    END IF;
    RETURN NULL;
END
$$;

-- The name of a zone stands in its newest version, which a zone that is deleted has no more.
CREATE FUNCTION keep_zone_search_terms() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    of_zone uuid;
BEGIN
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

DO $$
DECLARE
    searched record;
    written text;
BEGIN
    FOR searched IN SELECT * FROM (VALUES
        ('assets', 'asset', 'external_id,serial', 'name', true),
        ('clients', 'client', 'external_id,email', 'name', true),
        ('employees', 'employee', 'external_id,email', 'name', true),
        ('gateways', 'gateway', '', 'name', false),
        ('inspection_templates', 'inspection_template', '', 'name', true),
        ('parts', 'part', 'number', 'name', true),
        ('quotes', 'quote', 'number', 'title', true),
        ('sites', 'site', 'external_id', 'name,address', true),
        ('trackers', 'tracker', 'external_id', 'name', false),
        ('users', 'user', 'email', 'name', false),
        ('warehouses', 'warehouse', 'external_id', 'name,address', true),
        ('work_orders', 'work_order', 'number', 'title', true)
    ) AS searched (table_name, kind, codes, names, is_soft_deleted)
    LOOP
        SELECT string_agg(format('OLD.%1$I IS DISTINCT FROM NEW.%1$I', name), ' OR ') INTO written
          FROM string_to_table(concat_ws(
                   ',', nullif(searched.codes, ''), searched.names,
                   CASE WHEN searched.is_soft_deleted THEN 'deleted_at' END), ',') AS name;
        EXECUTE format(
            'CREATE TRIGGER search_insert AFTER INSERT ON %I FOR EACH ROW'
            ' EXECUTE FUNCTION keep_search_terms(%L, %L, %L)',
            searched.table_name, searched.kind, searched.codes, searched.names);
        EXECUTE format(
            'CREATE TRIGGER search_update AFTER UPDATE ON %I FOR EACH ROW WHEN (%s)'
            ' EXECUTE FUNCTION keep_search_terms(%L, %L, %L)',
            searched.table_name, written, searched.kind, searched.codes, searched.names);
        EXECUTE format('ALTER TABLE %I NO FORCE ROW LEVEL SECURITY', searched.table_name);
        EXECUTE format(
            'SELECT write_search_terms(org_id, %L, id, ARRAY[%s]::text[], ARRAY[%s]::text[])'
            ' FROM %I WHERE %s',
            searched.kind,
            (SELECT string_agg(format('%I::text', name), ', ')
               FROM string_to_table(nullif(searched.codes, ''), ',') AS name),
            (SELECT string_agg(format('%I::text', name), ', ')
               FROM string_to_table(searched.names, ',') AS name),
            searched.table_name,
            CASE WHEN searched.is_soft_deleted THEN 'deleted_at IS NULL' ELSE 'true' END);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', searched.table_name);
    END LOOP;
END
$$;
CREATE TRIGGER search_insert AFTER INSERT ON zone_versions FOR EACH ROW
    EXECUTE FUNCTION keep_zone_search_terms();
CREATE TRIGGER search_update AFTER UPDATE ON zones FOR EACH ROW
    WHEN (OLD.external_id IS DISTINCT FROM NEW.external_id
          OR OLD.deleted_at IS DISTINCT FROM NEW.deleted_at
          OR OLD.version IS DISTINCT FROM NEW.version)
    EXECUTE FUNCTION keep_zone_search_terms();
ALTER TABLE zones NO FORCE ROW LEVEL SECURITY;
ALTER TABLE zone_versions NO FORCE ROW LEVEL SECURITY;
SELECT write_search_terms(
           zones.org_id, 'zone', zones.id, ARRAY[zones.external_id], ARRAY[newest.name])
  FROM zones
  JOIN zone_versions AS newest ON newest.org_id = zones.org_id AND newest.zone_id = zones.id
   AND newest.version = zones.version
 WHERE zones.deleted_at IS NULL;
ALTER TABLE zones FORCE ROW LEVEL SECURITY;
ALTER TABLE zone_versions FORCE ROW LEVEL SECURITY;

REVOKE EXECUTE ON FUNCTION write_search_terms, keep_search_terms, keep_zone_search_terms FROM PUBLIC;

-- Lists of work orders --------------------------------------------------------------------------

DROP INDEX work_orders_planned;
CREATE INDEX work_orders_planned_start ON work_orders (org_id, planned_start, planned_end, id)
    WHERE planned_start IS NOT NULL;
CREATE INDEX work_orders_planned_end ON work_orders (org_id, planned_end, planned_start, id)
    WHERE planned_start IS NOT NULL;
CREATE INDEX work_orders_open_due ON work_orders (org_id, due_key, created_at, id)
    WHERE state <> ALL ('{completed,closed,cancelled,cannot_complete}'::text[]);

-- The expression is that of `db/resources/work_orders.py`.
CREATE INDEX work_orders_prioritized ON work_orders (org_id, (
    CASE priority WHEN 'urgent' THEN 4 WHEN 'high' THEN 3 WHEN 'normal' THEN 2 ELSE 1 END), id);

-- Row-level security and rights ---------------------------------------------------------------

ALTER TABLE search_terms ENABLE ROW LEVEL SECURITY;
ALTER TABLE search_terms FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON search_terms USING (org_id = (SELECT current_org_id()));
-- The triggers run as the owner, and also for those who act for all organizations.
CREATE POLICY keep ON search_terms TO opsc_owner USING (true) WITH CHECK (true);
GRANT SELECT ON search_terms TO opsc_app;
