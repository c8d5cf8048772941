-- What an open work order names is there, its assets and the parts that it plans too; what comes back
-- is what the order took; and drawn signatures have one bound.

-- Drawn signatures: the bound of `operations/signatures.py`, as those of quotes have it.
ALTER TABLE work_order_transitions
    DROP CONSTRAINT work_order_transitions_signature_check,
    ADD CONSTRAINT work_order_transitions_signature_check
        CHECK (length(signature) BETWEEN 8 AND 150000);

-- Checks that look for what speaks against a change ------------------------------------------------

-- Who acts for another organization by now sees no row of this one, so such a check would find
-- nothing: it refuses.
CREATE FUNCTION check_acting_for(of_org uuid) RETURNS void
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF of_org IS DISTINCT FROM current_org_id() AND row_security_active('public.organizations') THEN
        RAISE check_violation USING CONSTRAINT = 'acting_for',
            MESSAGE = 'a change is checked while its organization is acted for';
    END IF;
END
$$;
REVOKE EXECUTE ON FUNCTION check_acting_for FROM PUBLIC;
GRANT EXECUTE ON FUNCTION check_acting_for TO opsc_app, opsc_ingest, opsc_deliver;

-- Deletions ----------------------------------------------------------------------------------------

CREATE INDEX work_order_parts_of_part ON work_order_parts (org_id, part_id)
    WHERE planned_milli > used_milli;
CREATE INDEX work_order_parts_of_warehouse ON work_order_parts (org_id, warehouse_id)
    WHERE planned_milli > used_milli;

-- As in `0046_things_of_work_orders.sql`, with assets, and with parts and warehouses that are planned
-- and not all used.
CREATE OR REPLACE FUNCTION refuse_deletion_in_orders() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    PERFORM check_acting_for(NEW.org_id);
    CASE TG_TABLE_NAME
        WHEN 'employees' THEN
            PERFORM FROM work_order_assignees AS assignee JOIN work_orders AS job
                ON job.org_id = assignee.org_id AND job.id = assignee.work_order_id
              WHERE assignee.org_id = NEW.org_id AND assignee.employee_id = NEW.id
                AND job.deleted_at IS NULL
                AND job.state IN ('draft', 'created', 'assigned', 'started', 'on_hold') LIMIT 1;
        WHEN 'assets' THEN
            PERFORM FROM work_order_assets AS machine JOIN work_orders AS job
                ON job.org_id = machine.org_id AND job.id = machine.work_order_id
              WHERE machine.org_id = NEW.org_id AND machine.asset_id = NEW.id
                AND job.deleted_at IS NULL
                AND job.state IN ('draft', 'created', 'assigned', 'started', 'on_hold') LIMIT 1;
        WHEN 'clients' THEN
            PERFORM FROM work_orders
              WHERE org_id = NEW.org_id AND client_id = NEW.id AND deleted_at IS NULL
                AND state IN ('draft', 'created', 'assigned', 'started', 'on_hold') LIMIT 1;
        WHEN 'sites' THEN
            PERFORM FROM work_orders
              WHERE org_id = NEW.org_id AND site_id = NEW.id AND deleted_at IS NULL
                AND state IN ('draft', 'created', 'assigned', 'started', 'on_hold') LIMIT 1;
        WHEN 'parts' THEN
            PERFORM FROM work_order_parts AS part JOIN work_orders AS job
                ON job.org_id = part.org_id AND job.id = part.work_order_id
              WHERE part.org_id = NEW.org_id AND part.part_id = NEW.id
                AND part.planned_milli > part.used_milli AND job.deleted_at IS NULL
                AND job.state IN ('draft', 'created', 'assigned', 'started', 'on_hold') LIMIT 1;
        WHEN 'warehouses' THEN
            PERFORM FROM work_order_parts AS part JOIN work_orders AS job
                ON job.org_id = part.org_id AND job.id = part.work_order_id
              WHERE part.org_id = NEW.org_id AND part.warehouse_id = NEW.id
                AND part.planned_milli > part.used_milli AND job.deleted_at IS NULL
                AND job.state IN ('draft', 'created', 'assigned', 'started', 'on_hold') LIMIT 1;
    END CASE;
    IF FOUND THEN
        RAISE check_violation USING CONSTRAINT = TG_TABLE_NAME || '_in_work_orders',
            MESSAGE = 'a work order that has not ended names it';
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER in_work_orders AFTER UPDATE OF deleted_at ON assets FOR EACH ROW
    WHEN (OLD.deleted_at IS NULL AND NEW.deleted_at IS NOT NULL)
    EXECUTE FUNCTION refuse_deletion_in_orders();
CREATE TRIGGER in_work_orders AFTER UPDATE OF deleted_at ON parts FOR EACH ROW
    WHEN (OLD.deleted_at IS NULL AND NEW.deleted_at IS NOT NULL)
    EXECUTE FUNCTION refuse_deletion_in_orders();
CREATE TRIGGER in_work_orders AFTER UPDATE OF deleted_at ON warehouses FOR EACH ROW
    WHEN (OLD.deleted_at IS NULL AND NEW.deleted_at IS NOT NULL)
    EXECUTE FUNCTION refuse_deletion_in_orders();

-- Assets -------------------------------------------------------------------------------------------

CREATE FUNCTION check_new_asset_of_order() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    PERFORM FROM assets
      WHERE org_id = NEW.org_id AND id = NEW.asset_id AND deleted_at IS NULL FOR SHARE;
    IF NOT FOUND THEN
        RAISE check_violation USING CONSTRAINT = 'work_orders_asset_is_there',
            MESSAGE = 'an asset of a work order is not deleted';
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER is_there AFTER INSERT ON work_order_assets FOR EACH ROW
    EXECUTE FUNCTION check_new_asset_of_order();

-- The assets of an order that is open again, beside its client, its site and its assignees.
CREATE FUNCTION check_assets_of_order() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    PERFORM check_acting_for(NEW.org_id);
    PERFORM FROM assets
      WHERE org_id = NEW.org_id AND id IN (
            SELECT asset_id FROM work_order_assets
             WHERE org_id = NEW.org_id AND work_order_id = NEW.id)
      ORDER BY id FOR SHARE;
    PERFORM FROM work_order_assets AS machine JOIN assets AS asset
        ON asset.org_id = machine.org_id AND asset.id = machine.asset_id
      WHERE machine.org_id = NEW.org_id AND machine.work_order_id = NEW.id
        AND asset.deleted_at IS NOT NULL LIMIT 1;
    IF FOUND THEN
        RAISE check_violation USING CONSTRAINT = 'work_orders_asset_is_there',
            MESSAGE = 'an asset of a work order that has not ended is not deleted';
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER things_assets AFTER UPDATE ON work_orders FOR EACH ROW
    WHEN (NEW.state IN ('draft', 'created', 'assigned', 'started', 'on_hold')
          AND ((OLD.deleted_at IS NOT NULL AND NEW.deleted_at IS NULL)
               OR OLD.state IN ('completed', 'closed', 'cancelled', 'cannot_complete')))
    EXECUTE FUNCTION check_assets_of_order();

-- Planned parts ------------------------------------------------------------------------------------

-- What is planned is there, and of a part that is tracked by serials it is whole.
CREATE FUNCTION check_planned_part() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    tracked_by text;
BEGIN
    SELECT tracking INTO tracked_by FROM parts
     WHERE org_id = NEW.org_id AND id = NEW.part_id AND deleted_at IS NULL FOR SHARE;
    IF NOT FOUND THEN
        RAISE check_violation USING CONSTRAINT = 'work_order_parts_part_is_there',
            MESSAGE = 'a part that is planned is not deleted';
    END IF;
    IF tracked_by = 'serial' AND NEW.planned_milli % 1000 <> 0 THEN
        RAISE check_violation USING CONSTRAINT = 'work_order_parts_whole',
            MESSAGE = 'what is planned of a part that is tracked by serials is whole';
    END IF;
    IF NEW.warehouse_id IS NOT NULL THEN
        PERFORM FROM warehouses
          WHERE org_id = NEW.org_id AND id = NEW.warehouse_id AND deleted_at IS NULL FOR SHARE;
        IF NOT FOUND THEN
            RAISE check_violation USING CONSTRAINT = 'work_order_parts_warehouse_is_there',
                MESSAGE = 'a warehouse in which a part is planned is not deleted';
        END IF;
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER planned AFTER INSERT ON work_order_parts FOR EACH ROW
    WHEN (NEW.planned_milli > NEW.used_milli) EXECUTE FUNCTION check_planned_part();
CREATE TRIGGER planned_anew AFTER UPDATE OF planned_milli, warehouse_id ON work_order_parts
    FOR EACH ROW
    WHEN (NEW.planned_milli > NEW.used_milli
          AND (NEW.planned_milli <> OLD.planned_milli
               OR NEW.warehouse_id IS DISTINCT FROM OLD.warehouse_id))
    EXECUTE FUNCTION check_planned_part();

CREATE FUNCTION refuse_serials_of_fractions() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    PERFORM check_acting_for(NEW.org_id);
    PERFORM FROM work_order_parts AS part JOIN work_orders AS job
        ON job.org_id = part.org_id AND job.id = part.work_order_id
      WHERE part.org_id = NEW.org_id AND part.part_id = NEW.id
        AND part.planned_milli > part.used_milli AND part.planned_milli % 1000 <> 0
        AND job.deleted_at IS NULL
        AND job.state IN ('draft', 'created', 'assigned', 'started', 'on_hold') LIMIT 1;
    IF FOUND THEN
        RAISE check_violation USING CONSTRAINT = 'parts_planned_in_fractions',
            MESSAGE = 'a work order that has not ended plans a fraction of the part';
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER planned_in_fractions AFTER UPDATE OF tracking ON parts FOR EACH ROW
    WHEN (NEW.tracking = 'serial' AND OLD.tracking <> 'serial')
    EXECUTE FUNCTION refuse_serials_of_fractions();

-- What comes back ----------------------------------------------------------------------------------

-- A lot or a serial comes back from an order that has used it. What an order used while the part was
-- tracked otherwise comes back under any name.
CREATE FUNCTION check_returned_lots() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    PERFORM check_acting_for(NEW.org_id);
    PERFORM FROM stock_movements
      WHERE org_id = NEW.org_id AND work_order_id = NEW.work_order_id AND part_id = NEW.part_id
        AND kind = 'consume'
        AND CASE WHEN NEW.lot IS NULL THEN serials IS NULL ELSE lot IS NULL END LIMIT 1;
    IF FOUND THEN
        RETURN NULL;
    END IF;
    PERFORM FROM unnest(coalesce(NEW.serials, ARRAY[NEW.lot])) AS returned
      WHERE 0 > (
            SELECT sum(CASE made.kind WHEN 'consume' THEN 1 ELSE -1 END
                       * CASE WHEN NEW.lot IS NULL THEN 1000 ELSE made.quantity_milli END)
              FROM stock_movements AS made
             WHERE made.org_id = NEW.org_id AND made.work_order_id = NEW.work_order_id
               AND made.part_id = NEW.part_id AND made.kind IN ('consume', 'return')
               AND CASE WHEN NEW.lot IS NULL THEN returned = ANY (made.serials)
                        ELSE made.lot = returned END)
      LIMIT 1;
    IF FOUND THEN
        RAISE check_violation USING CONSTRAINT = 'stock_movements_returned',
            MESSAGE = 'a lot or a serial comes back from a work order that has used it';
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER returned AFTER INSERT ON stock_movements FOR EACH ROW
    WHEN (NEW.kind = 'return' AND NEW.work_order_id IS NOT NULL
          AND (NEW.lot IS NOT NULL OR NEW.serials IS NOT NULL))
    EXECUTE FUNCTION check_returned_lots();

REVOKE EXECUTE ON FUNCTION check_new_asset_of_order, check_assets_of_order, check_planned_part,
    refuse_serials_of_fractions, check_returned_lots FROM PUBLIC;

-- What a new row costs -----------------------------------------------------------------------------

-- As in `0022_no_audit_chain.sql`, but a value is looked at by `audit_value` only where it is large: that
-- function took a third of the time.
CREATE OR REPLACE FUNCTION audit_row() RETURNS trigger
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

-- As in `0034_search_quotas_numbers.sql`, without queries before the terms are there.
CREATE OR REPLACE FUNCTION write_search_terms(
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

CREATE OR REPLACE FUNCTION keep_search_terms() RETURNS trigger
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

-- An order begins as in `0028_work_orders.sql`; the table of states is looked at where it does not.
DROP TRIGGER moves ON work_orders;
CREATE TRIGGER moves BEFORE UPDATE OF state ON work_orders FOR EACH ROW
    EXECUTE FUNCTION check_state_move('a work order', 'draft created',
        'draft>created draft>cancelled created>assigned created>cancelled assigned>started'
        ' assigned>cancelled assigned>cannot_complete started>on_hold started>completed'
        ' started>cancelled started>cannot_complete on_hold>started on_hold>cancelled'
        ' on_hold>cannot_complete completed>closed completed>assigned cannot_complete>closed'
        ' cannot_complete>assigned closed>assigned cancelled>created');
CREATE TRIGGER begins BEFORE INSERT ON work_orders FOR EACH ROW
    WHEN (NEW.state NOT IN ('draft', 'created'))
    EXECUTE FUNCTION check_state_move('a work order', 'draft created', '');

-- Of a quote or a defect there is one order, and most orders are of neither.
ALTER TABLE work_orders DROP CONSTRAINT work_order_of_quote, DROP CONSTRAINT work_order_of_defect;
CREATE UNIQUE INDEX work_order_of_quote ON work_orders (org_id, quote_id)
    WHERE quote_id IS NOT NULL;
CREATE UNIQUE INDEX work_order_of_defect ON work_orders (org_id, inspection_form_id, question_id)
    WHERE inspection_form_id IS NOT NULL;
