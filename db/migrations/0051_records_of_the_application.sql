-- What SQL as the application's role could still write, and the rules forbid: records of another
-- time, numbers that were not taken, a second beginning of a work order, owners that are deleted,
-- versions that are not there, and photos that no answer names. A rule about a new row alone is a
-- policy: that is planned with the statement, and costs less than a trigger. A test has each.

-- Work orders --------------------------------------------------------------------------------------

-- An order is created once. Where somebody has written that twice already, the rows after the first
-- stay beside the index.
ALTER TABLE work_order_transitions NO FORCE ROW LEVEL SECURITY;
DO $$
DECLARE
    twice text;
BEGIN
    SELECT string_agg(format('%L::uuid', id), ', ') INTO twice
      FROM (SELECT id, row_number() OVER (PARTITION BY org_id, work_order_id
                                              ORDER BY created_at, id) AS place
              FROM work_order_transitions WHERE verb = 'create') AS made
     WHERE place > 1;
    EXECUTE 'CREATE UNIQUE INDEX work_order_transitions_once'
        ' ON work_order_transitions (org_id, work_order_id) WHERE verb = ''create'''
        || coalesce(' AND id NOT IN (' || twice || ')', '');
END
$$;
ALTER TABLE work_order_transitions FORCE ROW LEVEL SECURITY;

-- As in `0049_rules_for_every_writer.sql`, and an order takes 500 ways, and those that end it
-- (`MAX_TRANSITIONS` in `api/resources/work_orders/changes.py`).
CREATE OR REPLACE FUNCTION check_order_transition() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    PERFORM FROM work_orders
      WHERE org_id = NEW.org_id AND id = NEW.work_order_id AND state = NEW.state
        AND updated_at = NEW.created_at;
    IF NOT FOUND THEN
        RAISE check_violation USING CONSTRAINT = 'work_order_transitions_made',
            MESSAGE = 'a transition is written with the change that it is of';
    END IF;
    IF NEW.verb NOT IN ('complete', 'close', 'cancel', 'cannot-complete') THEN
        PERFORM FROM work_order_transitions
          WHERE org_id = NEW.org_id AND work_order_id = NEW.work_order_id OFFSET 500 LIMIT 1;
        IF FOUND THEN
            RAISE check_violation USING CONSTRAINT = 'work_order_transitions_most',
                MESSAGE = 'a work order has 500 transitions at most, and those that end it';
        END IF;
    END IF;
    RETURN NULL;
END
$$;

-- Things in use ------------------------------------------------------------------------------------

-- As in `0048_what_open_orders_name.sql` what work orders name, here what other things belong to.
CREATE FUNCTION refuse_deletion_of_owner() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    PERFORM check_acting_for(NEW.org_id);
    IF TG_TABLE_NAME = 'clients' THEN
        PERFORM WHERE
            EXISTS (SELECT FROM sites
                     WHERE org_id = NEW.org_id AND client_id = NEW.id AND deleted_at IS NULL)
            OR EXISTS (SELECT FROM assets
                        WHERE org_id = NEW.org_id AND client_id = NEW.id AND deleted_at IS NULL)
            OR EXISTS (SELECT FROM quotes
                        WHERE org_id = NEW.org_id AND client_id = NEW.id AND deleted_at IS NULL);
    ELSE
        PERFORM FROM assets
          WHERE org_id = NEW.org_id AND site_id = NEW.id AND deleted_at IS NULL LIMIT 1;
    END IF;
    IF FOUND THEN
        RAISE check_violation USING CONSTRAINT = TG_TABLE_NAME || '_in_use',
            MESSAGE = 'what is not deleted belongs to it';
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER in_use AFTER UPDATE OF deleted_at ON clients FOR EACH ROW
    WHEN (OLD.deleted_at IS NULL AND NEW.deleted_at IS NOT NULL)
    EXECUTE FUNCTION refuse_deletion_of_owner();
CREATE TRIGGER in_use AFTER UPDATE OF deleted_at ON sites FOR EACH ROW
    WHEN (OLD.deleted_at IS NULL AND NEW.deleted_at IS NOT NULL)
    EXECUTE FUNCTION refuse_deletion_of_owner();

-- The client or the site that a thing is given is there, and stays until the transaction ends; so is
-- what it has when it is restored.
CREATE FUNCTION check_client_is_there() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    PERFORM FROM clients
      WHERE org_id = NEW.org_id AND id = NEW.client_id AND deleted_at IS NULL FOR SHARE;
    IF NOT FOUND THEN
        RAISE check_violation USING CONSTRAINT = TG_TABLE_NAME || '_client_is_there',
            MESSAGE = 'the client that a thing belongs to is not deleted';
    END IF;
    RETURN NULL;
END
$$;
CREATE FUNCTION check_site_is_there() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    PERFORM FROM sites
      WHERE org_id = NEW.org_id AND id = NEW.site_id AND deleted_at IS NULL FOR SHARE;
    IF NOT FOUND THEN
        RAISE check_violation USING CONSTRAINT = TG_TABLE_NAME || '_site_is_there',
            MESSAGE = 'the site that a thing is at is not deleted';
    END IF;
    RETURN NULL;
END
$$;
DO $$
DECLARE
    owned record;
BEGIN
    FOR owned IN SELECT * FROM (VALUES
        ('sites', 'client'), ('assets', 'client'), ('quotes', 'client'), ('assets', 'site')
    ) AS owned (table_name, owner)
    LOOP
        EXECUTE format(
            'CREATE TRIGGER %2$s_at_first AFTER INSERT ON %1$I FOR EACH ROW'
            ' WHEN (NEW.%2$s_id IS NOT NULL AND NEW.deleted_at IS NULL)'
            ' EXECUTE FUNCTION check_%2$s_is_there()', owned.table_name, owned.owner);
        EXECUTE format(
            'CREATE TRIGGER %2$s AFTER UPDATE ON %1$I FOR EACH ROW'
            ' WHEN (NEW.%2$s_id IS NOT NULL AND NEW.deleted_at IS NULL'
            '       AND (OLD.deleted_at IS NOT NULL OR NEW.%2$s_id IS DISTINCT FROM OLD.%2$s_id))'
            ' EXECUTE FUNCTION check_%2$s_is_there()', owned.table_name, owned.owner);
    END LOOP;
END
$$;

-- Numbers ------------------------------------------------------------------------------------------

-- For triggers whose condition says it all. Arguments: the constraint and the message.
CREATE FUNCTION refuse_row() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    RAISE check_violation USING CONSTRAINT = TG_ARGV[0], MESSAGE = TG_ARGV[1];
END
$$;

-- A counter begins with 1, rises by one, and keeps its kind.
CREATE TRIGGER first AFTER INSERT ON number_counters FOR EACH ROW
    WHEN (NEW.last <> 1 AND current_user = 'opsc_app')
    EXECUTE FUNCTION refuse_row('number_counters_rise', 'numbers begin with 1');
CREATE TRIGGER next AFTER UPDATE ON number_counters FOR EACH ROW
    WHEN (NEW.last <> OLD.last + 1 AND current_user = 'opsc_app')
    EXECUTE FUNCTION refuse_row('number_counters_rise', 'numbers rise by one');
REVOKE UPDATE ON number_counters FROM opsc_app;
GRANT UPDATE (last) ON number_counters TO opsc_app;

-- A new thing has the number that was taken last, and a later revision one that was taken before: none
-- is given that will be taken later. No policy, which would not see what the same statement takes.
CREATE FUNCTION check_number_is_taken() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    PERFORM FROM number_counters
      WHERE org_id = NEW.org_id AND kind = TG_ARGV[0]
        AND (last = NEW.number OR last > NEW.number AND TG_ARGV[1] = 'before');
    IF NOT FOUND THEN
        RAISE check_violation USING CONSTRAINT = TG_TABLE_NAME || '_numbered',
            MESSAGE = 'a number is taken before it is given';
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER numbered AFTER INSERT ON work_orders FOR EACH ROW
    WHEN (current_user = 'opsc_app') EXECUTE FUNCTION check_number_is_taken('work_order', 'last');
CREATE TRIGGER numbered AFTER INSERT ON quotes FOR EACH ROW
    WHEN (NEW.revision = 1 AND current_user = 'opsc_app')
    EXECUTE FUNCTION check_number_is_taken('quote', 'last');
CREATE TRIGGER numbered_as_before AFTER INSERT ON quotes FOR EACH ROW
    WHEN (NEW.revision > 1 AND current_user = 'opsc_app')
    EXECUTE FUNCTION check_number_is_taken('quote', 'before');

-- Times --------------------------------------------------------------------------------------------

-- A record is of the time when it is made, and so is what is known of a thing. The minute before is
-- for clocks that are set, and no transaction of the application lasts the ten behind. Whoever
-- restores or fills a database is another role.
DO $$
DECLARE
    recorded record;
BEGIN
    FOR recorded IN SELECT unnest(ARRAY[
        'attachments', 'inspection_forms', 'inspection_template_versions', 'quotes',
        'stock_movements', 'timesheet_adjustments', 'work_order_comments',
        'work_order_transitions', 'work_orders']) AS table_name
    LOOP
        EXECUTE format(
            'CREATE POLICY dated ON %I AS RESTRICTIVE FOR INSERT TO opsc_app WITH CHECK ('
            'created_at BETWEEN now() - interval ''1 minute'''
            '               AND now() + interval ''10 minutes'')', recorded.table_name);
    END LOOP;
    FOR recorded IN SELECT * FROM (VALUES
        ('inspection_forms', 'submitted_at'),
        ('quotes', 'viewed_at decided_at'),
        ('timesheets', 'submitted_at decided_at locked_at'),
        ('work_orders', 'started_at ended_at')
    ) AS recorded (table_name, columns)
    LOOP
        EXECUTE format(
            'CREATE TRIGGER dated AFTER UPDATE ON %I FOR EACH ROW'
            ' WHEN (current_user = ''opsc_app'' AND (%s)) EXECUTE FUNCTION refuse_row(%L, %L)',
            recorded.table_name,
            (SELECT string_agg(format(
                        'NEW.%1$I IS DISTINCT FROM OLD.%1$I'
                        ' AND NEW.%1$I NOT BETWEEN now() - interval ''1 minute'''
                        '                      AND now() + interval ''10 minutes''',
                        name), ' OR ')
               FROM string_to_table(recorded.columns, ' ') AS name),
            recorded.table_name || '_dated', 'what happens is recorded as of then');
    END LOOP;
END
$$;

-- Inspections --------------------------------------------------------------------------------------

-- A template begins with version 1, and its versions follow each other.
CREATE TRIGGER first_version AFTER INSERT ON inspection_templates FOR EACH ROW
    WHEN (NEW.version <> 1)
    EXECUTE FUNCTION refuse_row('inspection_templates_version', 'a template begins with version 1');
CREATE TRIGGER next_version AFTER UPDATE ON inspection_templates FOR EACH ROW
    WHEN (NEW.version NOT IN (OLD.version, OLD.version + 1))
    EXECUTE FUNCTION refuse_row('inspection_templates_version', 'versions rise by one');

-- The version that a template has is there, with its name, as of each COMMIT; and no later one is.
CREATE FUNCTION check_template_version() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF TG_TABLE_NAME = 'inspection_templates' THEN
        PERFORM FROM inspection_template_versions
          WHERE org_id = NEW.org_id AND template_id = NEW.id AND version = NEW.version
            AND name = NEW.name;
    ELSE
        PERFORM FROM inspection_templates
          WHERE org_id = NEW.org_id AND id = NEW.template_id AND version = NEW.version;
    END IF;
    IF NOT FOUND THEN
        RAISE check_violation USING CONSTRAINT = 'inspection_templates_version',
            MESSAGE = 'the version that a template has is there, and is its newest';
    END IF;
    RETURN NULL;
END
$$;
CREATE CONSTRAINT TRIGGER version_at_first AFTER INSERT ON inspection_templates
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION check_template_version();
CREATE CONSTRAINT TRIGGER version AFTER UPDATE ON inspection_templates
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
    WHEN (NEW.version <> OLD.version OR NEW.name <> OLD.name)
    EXECUTE FUNCTION check_template_version();
CREATE TRIGGER newest AFTER INSERT ON inspection_template_versions FOR EACH ROW
    EXECUTE FUNCTION check_template_version();

-- An id as the API writes it (`telemetry/ids.py`); a test compares them.
CREATE FUNCTION id_text(prefix text, id uuid) RETURNS text
    LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
SELECT prefix || '_' || string_agg(
           substr('0123456789abcdefghjkmnpqrstvwxyz',
                  1 + substring(bits FROM 1 + 5 * place FOR 5)::bit(5)::integer, 1), '' ORDER BY place)
  FROM (SELECT B'00' || ('x' || translate(id::text, '-', ''))::bit(128) AS bits) AS of_id,
       generate_series(0, 25) AS place
$$;

-- A photo that is kept is an image that an answer of the submitted form names.
CREATE FUNCTION check_inspection_photo() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    PERFORM FROM inspection_forms AS form JOIN attachments AS file ON file.org_id = form.org_id
      WHERE form.org_id = NEW.org_id AND form.id = NEW.form_id AND form.state = 'submitted'
        AND file.id = NEW.attachment_id AND starts_with(file.media_type, 'image/')
        AND form.answers @? format('$.*.value[*] ? (@ == "%s")',
                                   id_text('att', NEW.attachment_id))::jsonpath;
    IF NOT FOUND THEN
        RAISE check_violation USING CONSTRAINT = 'inspection_photos_named',
            MESSAGE = 'a photo is an image that a submitted form names';
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER named AFTER INSERT ON inspection_photos FOR EACH ROW
    EXECUTE FUNCTION check_inspection_photo();

-- A submitted form answers questions of its version, among them those that are required in any case.
-- Its defects are the questions that failed, and all of its photos are kept. What an answer looks
-- like, and whether other questions are asked, is known to `operations/inspections/answers.py` alone.
CREATE FUNCTION check_submitted_inspection() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    asked text[];
    is_missing boolean;
    failed jsonb;
    photos jsonb;
BEGIN
    SELECT array_agg(question ->> 'id'),
           bool_or(answer IS NULL AND question @> '{"required": true, "show_if": null}'),
           coalesce(jsonb_agg(jsonb_build_object(
                        'question_id', question -> 'id', 'label', question -> 'label',
                        'note', answer -> 'note') ORDER BY place)
                    FILTER (WHERE question ->> 'type' = 'pass_fail'
                              AND answer ->> 'value' = 'fail'), '[]'),
           jsonb_agg(answer -> 'value')
               FILTER (WHERE question ->> 'type' = 'photo' AND answer IS NOT NULL)
      INTO asked, is_missing, failed, photos
      FROM inspection_template_versions AS used,
           jsonb_path_query(used.sections, '$[*].questions[*]')
               WITH ORDINALITY AS each (question, place),
           LATERAL (SELECT NEW.answers -> (question ->> 'id') AS answer) AS given
     WHERE used.org_id = NEW.org_id AND used.template_id = NEW.template_id
       AND used.version = NEW.template_version;
    IF asked IS NULL OR NEW.answers - asked <> '{}' OR is_missing THEN
        RAISE check_violation USING CONSTRAINT = 'inspection_forms_asked',
            MESSAGE = 'a submitted form answers the questions of its version';
    END IF;
    IF failed <> NEW.defects THEN
        RAISE check_violation USING CONSTRAINT = 'inspection_forms_defects',
            MESSAGE = 'the defects of a form are the questions that failed';
    END IF;
    IF photos IS NOT NULL AND (
            SELECT count(DISTINCT photo) FROM jsonb_path_query(photos, '$[*][*]') AS photo)
        <> (SELECT count(*) FROM inspection_photos
             WHERE org_id = NEW.org_id AND form_id = NEW.id)
    THEN
        RAISE check_violation USING CONSTRAINT = 'inspection_forms_photos',
            MESSAGE = 'the photos of a submitted form are kept';
    END IF;
    RETURN NULL;
END
$$;
CREATE CONSTRAINT TRIGGER answered AFTER UPDATE OF state ON inspection_forms
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
    WHEN (OLD.state = 'draft' AND NEW.state = 'submitted')
    EXECUTE FUNCTION check_submitted_inspection();

-- Files --------------------------------------------------------------------------------------------

-- The files of an order that is over stay as the rest of it does.
CREATE FUNCTION keep_files_of_fixed_order() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    PERFORM FROM work_orders
      WHERE org_id = OLD.org_id AND id = OLD.work_order_id
        AND state NOT IN ('completed', 'closed', 'cancelled') FOR SHARE;
    IF NOT FOUND THEN
        RAISE check_violation USING CONSTRAINT = 'work_orders_fixed',
            MESSAGE = 'files of a work order that is over are not deleted';
    END IF;
    RETURN NULL;
END
$$;
-- The owner removes organizations.
CREATE TRIGGER of_fixed_order AFTER DELETE ON attachments FOR EACH ROW
    WHEN (OLD.work_order_id IS NOT NULL AND current_user <> 'opsc_owner')
    EXECUTE FUNCTION keep_files_of_fixed_order();

-- What is in a file, and how it is shown, is written with it.
CREATE FUNCTION check_file_is_new() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    PERFORM FROM attachments
      WHERE org_id = NEW.org_id AND id = NEW.attachment_id AND created_at >= now();
    IF NOT FOUND THEN
        RAISE check_violation USING CONSTRAINT = 'attachments_stay',
            MESSAGE = 'bytes and copies of a file are written with it';
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER of_new_file AFTER INSERT ON attachment_pieces FOR EACH ROW
    EXECUTE FUNCTION check_file_is_new();
CREATE TRIGGER of_new_file AFTER INSERT ON photo_copies FOR EACH ROW
    EXECUTE FUNCTION check_file_is_new();

-- Events -------------------------------------------------------------------------------------------

-- The types of `api/openapi/event_types.py`; a test compares them.
CREATE POLICY of_a_type ON events AS RESTRICTIVE FOR INSERT TO opsc_app WITH CHECK (
    type = ANY ('{asset.geofence_breach,asset.geofence_dwell,asset.overspeed,asset.visit_amended,
        employee.punched_in,employee.punched_out,punch.amended,timesheet.approved,stock.low,
        quote.created,quote.sent,quote.accepted,quote.declined,quote.expired,work_order.created,
        work_order.assigned,work_order.started,work_order.completed,work_order.updated,
        work_order.cancelled,inspection.submitted,webhook_endpoint.disabled}'::text[]));

REVOKE EXECUTE ON FUNCTION refuse_deletion_of_owner, check_client_is_there, check_site_is_there,
    refuse_row, check_number_is_taken, check_template_version, id_text, check_inspection_photo,
    check_submitted_inspection, keep_files_of_fixed_order, check_file_is_new FROM PUBLIC;
GRANT EXECUTE ON FUNCTION id_text TO opsc_app;
