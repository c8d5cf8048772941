-- What the rules forbid, the database refuses whoever writes: of work orders, quotes, inspections,
-- timesheets and files. Each of these was held by the API alone.

-- Checks that look for what speaks against a change ------------------------------------------------

CREATE OR REPLACE FUNCTION check_part_unit() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    PERFORM check_acting_for(NEW.org_id);
    PERFORM FROM stock_movements WHERE org_id = NEW.org_id AND part_id = NEW.id LIMIT 1;
    IF FOUND THEN
        RAISE check_violation USING CONSTRAINT = 'parts_unit',
            MESSAGE = 'the unit of a part that was moved does not change';
    END IF;
    RETURN NEW;
END
$$;

CREATE OR REPLACE FUNCTION refuse_deletion_in_stock() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    PERFORM check_acting_for(NEW.org_id);
    IF TG_TABLE_NAME = 'parts' THEN
        PERFORM FROM inventory
          WHERE org_id = NEW.org_id AND part_id = NEW.id AND on_hand_milli > 0 LIMIT 1;
    ELSE
        PERFORM FROM inventory
          WHERE org_id = NEW.org_id AND warehouse_id = NEW.id AND on_hand_milli > 0 LIMIT 1;
    END IF;
    IF FOUND THEN
        RAISE check_violation USING CONSTRAINT = TG_TABLE_NAME || '_in_stock',
            MESSAGE = 'what is in stock is not deleted';
    END IF;
    RETURN NULL;
END
$$;

CREATE OR REPLACE FUNCTION check_released() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    PERFORM check_acting_for(NEW.org_id);
    PERFORM FROM work_order_parts
      WHERE org_id = NEW.org_id AND work_order_id = NEW.id AND reserved_milli > 0;
    IF FOUND THEN
        RAISE check_violation USING CONSTRAINT = 'work_orders_released',
            MESSAGE = 'a work order that is over has no part reserved';
    END IF;
    RETURN NULL;
END
$$;

CREATE OR REPLACE FUNCTION check_last_assignee() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    PERFORM check_acting_for(OLD.org_id);
    PERFORM FROM work_orders AS job
      WHERE job.org_id = OLD.org_id AND job.id = OLD.work_order_id
        AND job.state IN ('assigned', 'started', 'on_hold')
        AND NOT EXISTS (SELECT FROM work_order_assignees AS assignee
                         WHERE assignee.org_id = job.org_id AND assignee.work_order_id = job.id);
    IF FOUND THEN
        RAISE check_violation USING CONSTRAINT = 'work_orders_assignee',
            MESSAGE = 'a work order in somebody''s hands has an assignee';
    END IF;
    RETURN NULL;
END
$$;

-- As in `0046_things_of_work_orders.sql`, but for who acts for another organization.
CREATE OR REPLACE FUNCTION check_things_of_order() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    site_client_id uuid;
BEGIN
    PERFORM check_acting_for(NEW.org_id);
    IF NEW.client_id IS NOT NULL THEN
        PERFORM FROM clients
          WHERE org_id = NEW.org_id AND id = NEW.client_id AND deleted_at IS NULL FOR SHARE;
        IF NOT FOUND THEN
            RAISE check_violation USING CONSTRAINT = 'work_orders_client_is_there',
                MESSAGE = 'the client of a work order is not deleted';
        END IF;
    END IF;
    IF NEW.site_id IS NOT NULL THEN
        SELECT client_id INTO site_client_id FROM sites
         WHERE org_id = NEW.org_id AND id = NEW.site_id AND deleted_at IS NULL FOR SHARE;
        IF NOT FOUND THEN
            RAISE check_violation USING CONSTRAINT = 'work_orders_site_is_there',
                MESSAGE = 'the site of a work order is not deleted';
        END IF;
        IF site_client_id <> NEW.client_id AND (
            TG_OP = 'INSERT' OR NEW.client_id IS DISTINCT FROM OLD.client_id
            OR NEW.site_id IS DISTINCT FROM OLD.site_id) THEN
            RAISE check_violation USING CONSTRAINT = 'work_orders_site_of_client',
                MESSAGE = 'the site of a work order is its client''s, or the organization''s own';
        END IF;
    END IF;
    IF TG_OP = 'UPDATE' AND NEW.state IN ('draft', 'created', 'assigned', 'started', 'on_hold') THEN
        PERFORM FROM employees
          WHERE org_id = NEW.org_id AND id IN (
                SELECT employee_id FROM work_order_assignees
                 WHERE org_id = NEW.org_id AND work_order_id = NEW.id)
          ORDER BY id FOR SHARE;
        PERFORM FROM work_order_assignees AS assignee JOIN employees AS employee
            ON employee.org_id = assignee.org_id AND employee.id = assignee.employee_id
          WHERE assignee.org_id = NEW.org_id AND assignee.work_order_id = NEW.id
            AND employee.deleted_at IS NOT NULL LIMIT 1;
        IF FOUND THEN
            RAISE check_violation USING CONSTRAINT = 'work_orders_assignee_is_there',
                MESSAGE = 'an assignee of a work order that has not ended is not deleted';
        END IF;
    END IF;
    RETURN NULL;
END
$$;

CREATE OR REPLACE FUNCTION check_quote_document() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    PERFORM check_acting_for(OLD.org_id);
    IF EXISTS (SELECT FROM quotes WHERE org_id = OLD.org_id AND id = OLD.quote_id
                                    AND (state <> 'draft' OR mail_state = 'queued')) THEN
        RAISE check_violation USING CONSTRAINT = 'quote_documents_content',
            MESSAGE = 'the document of a quote that was sent does not change';
    END IF;
    RETURN NEW;
END
$$;

-- Work orders --------------------------------------------------------------------------------------

-- What is completed, closed or cancelled stays as it is until it is reopened (`FIXED` in
-- `operations/work_orders/states.py`).
CREATE FUNCTION keep_fixed_order() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    may_change constant text[] := CASE
        WHEN NEW.state = 'closed' AND OLD.state <> 'closed' THEN '{state,updated_at}'
        WHEN NEW.state <> OLD.state THEN '{state,updated_at,ended_at}'
        WHEN OLD.state = 'completed' THEN '{updated_at,labour_cost_cents,currency}'
        WHEN OLD.state = 'cancelled' THEN '{updated_at,deleted_at}'
        WHEN OLD.labour_rates IS NULL THEN '{updated_at,labour_rates}'
        ELSE '{updated_at}' END;
BEGIN
    IF to_jsonb(NEW) - may_change <> to_jsonb(OLD) - may_change THEN
        RAISE check_violation USING CONSTRAINT = 'work_orders_fixed',
            MESSAGE = format('a work order that is %s does not change', OLD.state);
    END IF;
    RETURN NULL;
END
$$;
-- The owner removes organizations, and cuts a work order off its form.
CREATE TRIGGER fixed AFTER UPDATE ON work_orders FOR EACH ROW
    WHEN (OLD.state IN ('completed', 'closed', 'cancelled') AND current_user <> 'opsc_owner')
    EXECUTE FUNCTION keep_fixed_order();

-- Nor do its assignees, its assets and what it plans; a part that nobody has planned may still be
-- used while it is completed. Arguments: the states that take no change, and how many rows an order
-- has at most. The order is locked: who adds or removes some takes turns.
CREATE FUNCTION check_list_of_order() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    order_id constant uuid := coalesce(NEW.work_order_id, OLD.work_order_id);
    most constant integer := TG_ARGV[1];
    is_more boolean;
BEGIN
    PERFORM FROM work_orders AS job
      WHERE job.org_id = coalesce(NEW.org_id, OLD.org_id) AND job.id = order_id
        AND job.deleted_at IS NULL AND job.state <> ALL (string_to_array(TG_ARGV[0], ' '))
        FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RAISE check_violation USING CONSTRAINT = 'work_orders_fixed',
            MESSAGE = format('%s of a work order that is over do not change', TG_TABLE_NAME);
    END IF;
    IF TG_OP = 'INSERT' THEN
        CASE TG_TABLE_NAME
            WHEN 'work_order_assignees' THEN
                SELECT count(*) > most INTO is_more FROM work_order_assignees
                 WHERE org_id = NEW.org_id AND work_order_id = order_id;
            WHEN 'work_order_assets' THEN
                SELECT count(*) > most INTO is_more FROM work_order_assets
                 WHERE org_id = NEW.org_id AND work_order_id = order_id;
            WHEN 'work_order_comments' THEN
                SELECT count(*) > most INTO is_more FROM work_order_comments
                 WHERE org_id = NEW.org_id AND work_order_id = order_id;
            WHEN 'work_order_parts' THEN
                SELECT count(*) > most INTO is_more FROM work_order_parts
                 WHERE org_id = NEW.org_id AND work_order_id = order_id;
        END CASE;
        IF is_more THEN
            RAISE check_violation USING CONSTRAINT = 'work_orders_most',
                MESSAGE = format('a work order has at most %s rows of %s', most, TG_TABLE_NAME);
        END IF;
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER list AFTER INSERT ON work_order_assignees FOR EACH ROW
    EXECUTE FUNCTION check_list_of_order('completed closed cancelled', '100');
CREATE TRIGGER list_removal AFTER DELETE ON work_order_assignees FOR EACH ROW
    WHEN (current_user <> 'opsc_owner')
    EXECUTE FUNCTION check_list_of_order('completed closed cancelled');
CREATE TRIGGER list AFTER INSERT ON work_order_assets FOR EACH ROW
    EXECUTE FUNCTION check_list_of_order('completed closed cancelled', '100');
CREATE TRIGGER list_removal AFTER DELETE ON work_order_assets FOR EACH ROW
    WHEN (current_user <> 'opsc_owner')
    EXECUTE FUNCTION check_list_of_order('completed closed cancelled');
CREATE TRIGGER list AFTER INSERT ON work_order_comments FOR EACH ROW
    EXECUTE FUNCTION check_list_of_order('', '1000');
CREATE TRIGGER list AFTER INSERT ON work_order_parts FOR EACH ROW WHEN (NEW.planned_milli > 0)
    EXECUTE FUNCTION check_list_of_order('completed closed cancelled cannot_complete', '200');
CREATE TRIGGER list_unplanned AFTER INSERT ON work_order_parts FOR EACH ROW
    WHEN (NEW.planned_milli = 0)
    EXECUTE FUNCTION check_list_of_order('closed cancelled cannot_complete', '200');
CREATE TRIGGER list_plan AFTER UPDATE ON work_order_parts FOR EACH ROW
    WHEN (NEW.planned_milli <> OLD.planned_milli
          OR NEW.warehouse_id IS DISTINCT FROM OLD.warehouse_id)
    EXECUTE FUNCTION check_list_of_order('completed closed cancelled cannot_complete');

-- A transition is the order's last change: it leads there by a verb, from the state before. A test
-- compares these ways with `MOVES`.
ALTER TABLE work_order_transitions ADD CONSTRAINT work_order_transitions_way CHECK (
    coalesce(CASE WHEN verb = 'create' THEN from_state IS NULL AND state IN ('draft', 'created')
        ELSE concat_ws(' ', from_state, verb, state) = ANY (ARRAY[
            'draft issue created', 'draft cancel cancelled', 'created assign assigned',
            'created cancel cancelled', 'assigned assign assigned', 'assigned start started',
            'assigned cancel cancelled', 'assigned cannot-complete cannot_complete',
            'started hold on_hold', 'started complete completed', 'started cancel cancelled',
            'started cannot-complete cannot_complete', 'on_hold resume started',
            'on_hold cancel cancelled', 'on_hold cannot-complete cannot_complete',
            'completed close closed', 'completed reopen assigned', 'cannot_complete close closed',
            'cannot_complete reopen assigned', 'closed reopen assigned',
            'cancelled reopen created']) END, false)) NOT VALID;

CREATE FUNCTION check_order_transition() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    PERFORM FROM work_orders
      WHERE org_id = NEW.org_id AND id = NEW.work_order_id AND state = NEW.state
        AND updated_at = NEW.created_at;
    IF NOT FOUND THEN
        RAISE check_violation USING CONSTRAINT = 'work_order_transitions_made',
            MESSAGE = 'a transition is written with the change that it is of';
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER made AFTER INSERT ON work_order_transitions FOR EACH ROW
    WHEN (NEW.verb <> 'create') EXECUTE FUNCTION check_order_transition();

-- As in `0042_proof_of_work_orders.sql`, and each change of a state has its transition, with the
-- reason where one is needed.
CREATE OR REPLACE FUNCTION check_work_order_state() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF NEW.state = 'completed' THEN
        PERFORM FROM work_order_transitions
          WHERE org_id = NEW.org_id AND work_order_id = NEW.id AND created_at = NEW.ended_at
            AND verb = 'complete';
        IF NOT FOUND THEN
            RAISE check_violation USING CONSTRAINT = 'work_orders_sign_off',
                MESSAGE = 'a work order is completed with the sign-off of that time';
        END IF;
    ELSIF NEW.state IN ('assigned', 'started', 'on_hold') THEN
        PERFORM FROM work_order_assignees WHERE org_id = NEW.org_id AND work_order_id = NEW.id;
        IF NOT FOUND THEN
            RAISE check_violation USING CONSTRAINT = 'work_orders_assignee',
                MESSAGE = format('a work order that is %s has an assignee', NEW.state);
        END IF;
    END IF;
    PERFORM FROM work_order_transitions
      WHERE org_id = NEW.org_id AND work_order_id = NEW.id AND created_at = NEW.updated_at
        AND from_state = OLD.state AND state = NEW.state;
    IF NOT FOUND THEN
        RAISE check_violation USING CONSTRAINT = 'work_orders_transition',
            MESSAGE = format('a work order becomes %s with the transition of it', NEW.state);
    END IF;
    RETURN NULL;
END
$$;
DROP TRIGGER state ON work_orders;
CREATE CONSTRAINT TRIGGER state AFTER UPDATE OF state ON work_orders
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (NEW.state <> OLD.state)
    EXECUTE FUNCTION check_work_order_state();

-- A work order is made of a quote that was accepted, or of a defect of a form that stands.
CREATE FUNCTION check_order_origin() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF NEW.quote_id IS NOT NULL THEN
        PERFORM FROM quotes
          WHERE org_id = NEW.org_id AND id = NEW.quote_id AND state = 'accepted';
        IF NOT FOUND THEN
            RAISE check_violation USING CONSTRAINT = 'work_orders_quote_is_accepted',
                MESSAGE = 'a work order is made of an accepted quote';
        END IF;
    END IF;
    IF NEW.inspection_form_id IS NOT NULL THEN
        PERFORM FROM inspection_forms
          WHERE org_id = NEW.org_id AND id = NEW.inspection_form_id AND state = 'submitted'
            AND defects @> jsonb_build_array(jsonb_build_object('question_id', NEW.question_id))
            FOR SHARE;
        IF NOT FOUND THEN
            RAISE check_violation USING CONSTRAINT = 'work_orders_defect_is_there',
                MESSAGE = 'a work order mends a defect of a submitted form';
        END IF;
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER origin AFTER INSERT ON work_orders FOR EACH ROW
    WHEN (NEW.quote_id IS NOT NULL OR NEW.inspection_form_id IS NOT NULL)
    EXECUTE FUNCTION check_order_origin();

-- The tree of work orders has five levels and no circle, and nothing hangs below what is deleted.
-- The lock is that of `lock_tree` in `db/resources/work_orders.py`.
CREATE FUNCTION check_order_tree() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    above integer;
    below integer;
BEGIN
    PERFORM check_acting_for(NEW.org_id);
    PERFORM pg_advisory_xact_lock(hashtextextended(concat_ws('/', NEW.org_id, 'orders'), 10));
    IF NEW.deleted_at IS NOT NULL THEN
        PERFORM FROM work_orders
          WHERE org_id = NEW.org_id AND parent_id = NEW.id AND deleted_at IS NULL LIMIT 1;
        IF FOUND THEN
            RAISE check_violation USING CONSTRAINT = 'work_orders_pieces',
                MESSAGE = 'a work order with pieces is not deleted';
        END IF;
        RETURN NULL;
    END IF;
    PERFORM FROM work_orders
      WHERE org_id = NEW.org_id AND id = NEW.parent_id AND deleted_at IS NULL;
    IF NOT FOUND THEN
        RAISE check_violation USING CONSTRAINT = 'work_orders_parent_is_there',
            MESSAGE = 'the parent of a work order is not deleted';
    END IF;
    WITH RECURSIVE ancestors (parent_id, depth) AS (
        SELECT NEW.parent_id, 1
         UNION ALL
        SELECT job.parent_id, ancestors.depth + 1
          FROM ancestors JOIN work_orders AS job
            ON job.org_id = NEW.org_id AND job.id = ancestors.parent_id
         WHERE ancestors.depth < 6)
    SELECT max(depth) INTO above FROM ancestors;
    WITH RECURSIVE descendants (id, depth) AS (
        SELECT NEW.id, 0
         UNION ALL
        SELECT job.id, descendants.depth + 1
          FROM descendants JOIN work_orders AS job
            ON job.org_id = NEW.org_id AND job.parent_id = descendants.id
         WHERE descendants.depth < 6)
    SELECT max(depth) INTO below FROM descendants;
    IF above + below > 5 THEN
        RAISE check_violation USING CONSTRAINT = 'work_orders_levels',
            MESSAGE = 'work orders have five levels at most, and no circle';
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER tree_at_first AFTER INSERT ON work_orders FOR EACH ROW
    WHEN (NEW.parent_id IS NOT NULL AND NEW.deleted_at IS NULL)
    EXECUTE FUNCTION check_order_tree();
CREATE TRIGGER tree AFTER UPDATE ON work_orders FOR EACH ROW
    WHEN ((OLD.deleted_at IS NULL AND NEW.deleted_at IS NOT NULL)
          OR (NEW.parent_id IS NOT NULL AND NEW.deleted_at IS NULL
              AND (NEW.parent_id IS DISTINCT FROM OLD.parent_id OR OLD.deleted_at IS NOT NULL)))
    EXECUTE FUNCTION check_order_tree();

-- Quotes -------------------------------------------------------------------------------------------

-- Of the revisions of a quote one stands.
CREATE UNIQUE INDEX quotes_one_stands ON quotes (org_id, number)
    WHERE state IN ('sent', 'viewed', 'accepted');
ALTER TABLE quotes
    ADD CONSTRAINT quotes_stay CHECK (
        deleted_at IS NULL OR state NOT IN ('sent', 'viewed', 'accepted')) NOT VALID,
    ADD CONSTRAINT quotes_decided CHECK (
        decided_at IS NULL OR state IN ('accepted', 'declined', 'superseded')) NOT VALID;

-- Neither does what a customer got change, nor who decided and when.
CREATE OR REPLACE FUNCTION check_quote_content() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF (OLD.state <> 'draft' OR OLD.mail_state = 'queued')
        AND (NEW.number, NEW.revision, NEW.client_id, NEW.title, NEW.lines, NEW.currency,
             NEW.valid_until, NEW.terms, NEW.notes, NEW.subtotal_cents, NEW.discount_cents,
             NEW.tax_cents, NEW.total_cents, NEW.sent_to)
            IS DISTINCT FROM
            (OLD.number, OLD.revision, OLD.client_id, OLD.title, OLD.lines, OLD.currency,
             OLD.valid_until, OLD.terms, OLD.notes, OLD.subtotal_cents, OLD.discount_cents,
             OLD.tax_cents, OLD.total_cents, OLD.sent_to)
    THEN
        RAISE check_violation USING CONSTRAINT = 'quotes_content',
            MESSAGE = 'the content of a quote that was sent does not change';
    END IF;
    IF (OLD.state <> 'draft'
            AND (NEW.sent_at, NEW.mail_state) IS DISTINCT FROM (OLD.sent_at, OLD.mail_state))
        OR (NEW.viewed_at IS DISTINCT FROM OLD.viewed_at
            AND NOT (OLD.state = 'sent' AND NEW.state = 'viewed'))
        OR ((NEW.decided_at, NEW.decided_by, NEW.decline_reason)
                IS DISTINCT FROM (OLD.decided_at, OLD.decided_by, OLD.decline_reason)
            AND NOT (OLD.state IN ('sent', 'viewed') AND NEW.state IN ('accepted', 'declined')))
    THEN
        RAISE check_violation USING CONSTRAINT = 'quotes_times',
            MESSAGE = 'what is known of a quote is written when it happens, and does not change';
    END IF;
    RETURN NEW;
END
$$;

-- The sums of lines (`operations/quotes/sums.py`), or no row where a line cannot be.
CREATE FUNCTION sums_of_quote(lines jsonb)
    RETURNS TABLE (subtotal bigint, discount bigint, tax bigint, total bigint)
    LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT sum(amount)::bigint, sum(amount - net)::bigint, sum(tax)::bigint,
           sum(net + tax)::bigint
      FROM (SELECT amount, net, div(2 * net * tax_rate + 10000, 20000) AS tax, is_line
              FROM (SELECT div(2 * exact + 1000, 2000) AS amount,
                           div(2 * exact * (10000 - rate) + 10000000, 20000000) AS net,
                           tax_rate, is_line
                      FROM (SELECT line.quantity_thousandths * line.unit_price_cents AS exact,
                                   line.discount_basis_points AS rate,
                                   line.tax_basis_points AS tax_rate,
                                   length(line.description) BETWEEN 1 AND 1000
                                   AND line.quantity_thousandths BETWEEN 1 AND 1000000000
                                   AND line.unit_price_cents BETWEEN 0 AND 1000000000
                                   AND line.discount_basis_points BETWEEN 0 AND 10000
                                   AND line.tax_basis_points BETWEEN 0 AND 10000
                                   AND scale(line.quantity_thousandths) = 0
                                   AND scale(line.unit_price_cents) = 0
                                   AND scale(line.discount_basis_points) = 0
                                   AND scale(line.tax_basis_points) = 0 AS is_line
                              FROM jsonb_to_recordset(lines) AS line (
                                   description text, quantity_thousandths numeric,
                                   unit_price_cents numeric, discount_basis_points numeric,
                                   tax_basis_points numeric)) AS exactly) AS rounded) AS figures
    HAVING bool_and(coalesce(is_line, false));
END
$$;

CREATE FUNCTION check_quote_sums() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    PERFORM FROM sums_of_quote(NEW.lines)
      WHERE (subtotal, discount, tax, total)
            = (NEW.subtotal_cents, NEW.discount_cents, NEW.tax_cents, NEW.total_cents);
    IF NOT FOUND THEN
        RAISE check_violation USING CONSTRAINT = 'quotes_sums',
            MESSAGE = 'the sums of a quote are those of its lines';
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER sums_at_first AFTER INSERT ON quotes FOR EACH ROW
    EXECUTE FUNCTION check_quote_sums();
CREATE TRIGGER sums AFTER UPDATE ON quotes FOR EACH ROW
    WHEN ((NEW.lines, NEW.subtotal_cents, NEW.discount_cents, NEW.tax_cents, NEW.total_cents)
          IS DISTINCT FROM
          (OLD.lines, OLD.subtotal_cents, OLD.discount_cents, OLD.tax_cents, OLD.total_cents))
    EXECUTE FUNCTION check_quote_sums();

-- As in `0042_proof_of_work_orders.sql`, and a view has its evidence too. What is on its way to the
-- customer has its document, which says what the quote says: nothing fails once the letter is taken.
-- Nothing is accepted that is over or overtaken; who writes either locks all revisions.
CREATE OR REPLACE FUNCTION check_quote_state() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    document bytea;
    facts jsonb;
BEGIN
    SELECT content INTO document FROM quote_documents
     WHERE org_id = NEW.org_id AND quote_id = NEW.id;
    IF NOT FOUND THEN
        RAISE check_violation USING CONSTRAINT = 'quotes_document',
            MESSAGE = format('a quote that is %s has its document', NEW.state);
    END IF;
    IF NEW.state IN ('draft', 'sent') THEN
        facts := convert_from(document, 'UTF8')::jsonb;
        IF (facts -> 'number', facts -> 'revision', facts ->> 'title', facts ->> 'currency',
            facts ->> 'valid_until', facts -> 'subtotal_cents', facts -> 'discount_cents',
            facts -> 'tax_cents', facts -> 'total_cents', facts ->> 'terms', facts ->> 'notes')
            IS DISTINCT FROM
            (to_jsonb(NEW.number), to_jsonb(NEW.revision), NEW.title, NEW.currency,
             to_char(NEW.valid_until, 'YYYY-MM-DD'), to_jsonb(NEW.subtotal_cents),
             to_jsonb(NEW.discount_cents), to_jsonb(NEW.tax_cents), to_jsonb(NEW.total_cents),
             NEW.terms, NEW.notes)
        THEN
            RAISE check_violation USING CONSTRAINT = 'quotes_document',
                MESSAGE = 'the document of a quote says what the quote says';
        END IF;
    END IF;
    IF NEW.state <> 'draft' THEN
        PERFORM FROM quote_evidence
          WHERE org_id = NEW.org_id AND quote_id = NEW.id
            AND CASE convert_from(content, 'UTF8')::jsonb ->> 'kind'
                WHEN 'accepted_by_hand' THEN 'accepted'
                ELSE convert_from(content, 'UTF8')::jsonb ->> 'kind' END = NEW.state;
        IF NOT FOUND THEN
            RAISE check_violation USING CONSTRAINT = 'quotes_evidence',
                MESSAGE = format('a quote that is %s has the evidence of it', NEW.state);
        END IF;
    END IF;
    IF NEW.state = 'accepted' THEN
        PERFORM FROM organizations
          WHERE org_id = NEW.org_id AND NEW.valid_until >= (now() AT TIME ZONE timezone)::date;
        IF NOT FOUND THEN
            RAISE check_violation USING CONSTRAINT = 'quotes_in_time',
                MESSAGE = 'a quote is accepted until its last day is over';
        END IF;
    END IF;
    IF NEW.state IN ('draft', 'accepted') THEN
        PERFORM FROM quotes WHERE org_id = NEW.org_id AND number = NEW.number
          ORDER BY revision FOR NO KEY UPDATE;
        PERFORM FROM quotes
          WHERE org_id = NEW.org_id AND number = NEW.number AND id <> NEW.id
            AND CASE NEW.state WHEN 'draft' THEN state = 'accepted'
                ELSE revision > NEW.revision AND mail_state = 'queued' END;
        IF FOUND THEN
            RAISE check_violation USING CONSTRAINT = 'quotes_overtaken',
                MESSAGE = 'no later revision is on its way beside one that is accepted';
        END IF;
    END IF;
    RETURN NULL;
END
$$;
DROP TRIGGER state ON quotes;
CREATE CONSTRAINT TRIGGER state AFTER UPDATE ON quotes
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
    WHEN ((NEW.state <> OLD.state AND NEW.state IN ('sent', 'viewed', 'accepted', 'declined'))
          OR (NEW.state = 'draft' AND NEW.mail_state = 'queued'
              AND OLD.mail_state IS DISTINCT FROM 'queued'))
    EXECUTE FUNCTION check_quote_state();
CREATE CONSTRAINT TRIGGER state_at_first AFTER INSERT ON quotes
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (NEW.mail_state = 'queued')
    EXECUTE FUNCTION check_quote_state();

-- An entry follows in the chain of hashes, has those of what there is, and says once of each state
-- how the quote came to it (`operations/quotes/evidence.py`).
CREATE FUNCTION check_quote_evidence() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    facts constant jsonb := convert_from(NEW.content, 'UTF8')::jsonb;
    says constant text := CASE facts ->> 'kind' WHEN 'accepted_by_hand' THEN 'accepted'
        ELSE facts ->> 'kind' END;
    before quote_evidence;
    document quote_documents;
    faults text;
BEGIN
    SELECT * INTO before FROM quote_evidence
     WHERE org_id = NEW.org_id AND quote_id = NEW.quote_id AND place = NEW.place - 1;
    SELECT * INTO document FROM quote_documents
     WHERE org_id = NEW.org_id AND quote_id = NEW.quote_id;
    PERFORM FROM quotes WHERE org_id = NEW.org_id AND id = NEW.quote_id AND state = says;
    faults := concat_ws(', ',
        CASE WHEN NOT FOUND THEN 'state' END,
        CASE WHEN NEW.place > 1 AND before.place IS NULL THEN 'place' END,
        CASE WHEN NEW.sha256 <> sha256(NEW.content) THEN 'sha256' END,
        CASE WHEN facts ->> 'previous_sha256' IS DISTINCT FROM encode(before.sha256, 'hex')
             THEN 'previous_sha256' END,
        CASE WHEN facts ->> 'document_sha256'
                  IS DISTINCT FROM encode(sha256(document.content), 'hex')
             THEN 'document_sha256' END,
        CASE WHEN says = 'sent' AND facts ->> 'pdf_sha256'
                  IS DISTINCT FROM encode(sha256(document.pdf), 'hex') THEN 'pdf_sha256' END,
        CASE WHEN facts ->> 'signature_sha256'
                  IS DISTINCT FROM encode(sha256(NEW.signature_png), 'hex')
             THEN 'signature_sha256' END,
        CASE WHEN replace(convert_from(before.content, 'UTF8')::jsonb ->> 'kind', '_by_hand', '')
                  = says THEN 'kind' END);
    IF faults <> '' THEN
        RAISE check_violation USING CONSTRAINT = 'quote_evidence_follows',
            MESSAGE = format('the entry does not follow in the evidence: %s', faults);
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER follows AFTER INSERT ON quote_evidence FOR EACH ROW
    EXECUTE FUNCTION check_quote_evidence();

-- Inspections --------------------------------------------------------------------------------------

-- As in `0031_inspections.sql`, and a form stays superseded by the form that did it.
CREATE OR REPLACE FUNCTION keep_submitted_inspection() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    may_change constant text[] := CASE WHEN OLD.state = 'submitted'
        THEN '{state,superseded_by_id,updated_at}' ELSE '{updated_at}' END;
BEGIN
    IF to_jsonb(NEW) - may_change <> to_jsonb(OLD) - may_change THEN
        RAISE check_violation USING CONSTRAINT = 'inspection_forms_stay',
            MESSAGE = 'a submitted inspection form does not change';
    END IF;
    RETURN NEW;
END
$$;

-- A correction and what it corrects name each other, as of each COMMIT.
CREATE FUNCTION check_correction() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF NEW.state = 'superseded' THEN
        PERFORM FROM inspection_forms
          WHERE org_id = NEW.org_id AND id = NEW.superseded_by_id AND supersedes_id = NEW.id
            AND template_id = NEW.template_id AND state <> 'draft';
    ELSE
        PERFORM FROM inspection_forms
          WHERE org_id = NEW.org_id AND id = NEW.supersedes_id AND superseded_by_id = NEW.id
            AND template_id = NEW.template_id;
    END IF;
    IF NOT FOUND THEN
        RAISE check_violation USING CONSTRAINT = 'inspection_forms_corrected',
            MESSAGE = 'a form is superseded by one submitted correction of it';
    END IF;
    RETURN NULL;
END
$$;
CREATE CONSTRAINT TRIGGER corrected AFTER UPDATE OF state ON inspection_forms
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
    WHEN (NEW.state <> OLD.state AND (
          NEW.state = 'superseded' OR (NEW.state = 'submitted' AND NEW.supersedes_id IS NOT NULL)))
    EXECUTE FUNCTION check_correction();

-- Timesheets ---------------------------------------------------------------------------------------

-- As in `0024_shifts_timesheets.sql`, and who did what and when is written with the move. Nobody
-- approves their own hours, nor those of a period that is not over. Where clocks are put back over
-- midnight, the last day has been over before: hence the hour.
CREATE OR REPLACE FUNCTION check_timesheet_move() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NEW.state = 'open' THEN RETURN NEW; END IF;
        RAISE check_violation USING CONSTRAINT = 'timesheet_moves',
            MESSAGE = format('a timesheet begins open, not %s', NEW.state);
    END IF;
    IF NEW.state <> OLD.state AND (OLD.state, NEW.state) NOT IN (
        ('open', 'submitted'),
        ('submitted', 'approved'), ('submitted', 'rejected'), ('submitted', 'open'),
        ('rejected', 'submitted'), ('rejected', 'open'),
        ('approved', 'locked'), ('approved', 'open'),
        ('locked', 'open'))
    THEN
        RAISE check_violation USING CONSTRAINT = 'timesheet_moves',
            MESSAGE = format('a timesheet cannot go from %s to %s', OLD.state, NEW.state);
    END IF;
    IF NEW.state IN ('approved', 'locked') AND OLD.figures IS NOT NULL
        AND (NEW.figures, NEW.rules) IS DISTINCT FROM (OLD.figures, OLD.rules)
    THEN
        RAISE check_violation USING CONSTRAINT = 'timesheet_moves',
            MESSAGE = 'the figures of an approved timesheet do not change';
    END IF;
    IF ((NEW.state = OLD.state OR NEW.state IN ('approved', 'rejected', 'locked'))
            AND (NEW.submitted_by, NEW.submitted_at)
                IS DISTINCT FROM (OLD.submitted_by, OLD.submitted_at))
        OR (NEW.state IN (OLD.state, 'locked')
            AND (NEW.decided_by, NEW.decided_at) IS DISTINCT FROM (OLD.decided_by, OLD.decided_at))
        OR (NEW.state = OLD.state
            AND (NEW.locked_by, NEW.locked_at) IS DISTINCT FROM (OLD.locked_by, OLD.locked_at))
    THEN
        RAISE check_violation USING CONSTRAINT = 'timesheet_says_who',
            MESSAGE = 'who submitted, decided on or locked a timesheet does not change';
    END IF;
    IF NEW.state <> OLD.state AND NEW.state IN ('submitted', 'approved') THEN
        PERFORM FROM employees AS employee
            JOIN organizations AS organization ON organization.org_id = employee.org_id
          WHERE employee.org_id = NEW.org_id AND employee.id = NEW.employee_id
            AND NEW.last_day < ((clock_timestamp() + interval '1 hour')
                AT TIME ZONE coalesce(employee.timezone, organization.timezone))::date
            AND (NEW.state = 'submitted' OR employee.user_id IS DISTINCT FROM NEW.decided_by);
        IF NOT FOUND THEN
            RAISE check_violation USING CONSTRAINT = 'timesheet_approval',
                MESSAGE = 'a timesheet is approved when its days are over, and by somebody else';
        END IF;
    END IF;
    RETURN NEW;
END
$$;

-- Its timesheet is locked: what is being approved takes no adjustment at the same time.
CREATE FUNCTION check_adjustment() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    PERFORM FROM timesheets
      WHERE org_id = NEW.org_id AND id = NEW.timesheet_id
        AND state IN ('open', 'submitted', 'rejected')
        AND NEW.day BETWEEN first_day AND last_day
        FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RAISE check_violation USING CONSTRAINT = 'timesheet_takes_adjustments',
            MESSAGE = 'a day of a timesheet that is not approved is adjusted';
    END IF;
    PERFORM FROM timesheet_adjustments
      WHERE org_id = NEW.org_id AND timesheet_id = NEW.timesheet_id
     HAVING count(*) > 100 OR sum(seconds) FILTER (WHERE day = NEW.day) > 86400;
    IF FOUND THEN
        RAISE check_violation USING CONSTRAINT = 'timesheet_adjustments_most',
            MESSAGE = 'a timesheet takes 100 adjustments, which add 24 hours to a day at most';
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER taken AFTER INSERT ON timesheet_adjustments FOR EACH ROW
    EXECUTE FUNCTION check_adjustment();

-- What follows from other columns ------------------------------------------------------------------

-- The trigger of `parts.fits` alone writes these rows. It runs as the owner, and also for those who
-- act for all organizations.
ALTER FUNCTION keep_part_fits SECURITY DEFINER;
CREATE POLICY keep ON part_fits TO opsc_owner USING (true) WITH CHECK (true);
REVOKE INSERT, DELETE ON part_fits FROM opsc_app;

-- Files --------------------------------------------------------------------------------------------

-- Bytes go with their attachment, and an attachment stays as it is: the right to change a name is
-- there to lock the row.
REVOKE DELETE ON attachment_pieces FROM opsc_app;
CREATE POLICY stays ON attachments AS RESTRICTIVE FOR UPDATE TO opsc_app
    USING (true) WITH CHECK (false);

-- Bounds -------------------------------------------------------------------------------------------

ALTER TABLE work_orders ADD CONSTRAINT work_orders_checklist CHECK (
    jsonb_array_length(checklist) <= 200 AND length(checklist::text) <= 1000000) NOT VALID;
ALTER TABLE parts ADD CONSTRAINT parts_fits CHECK (
    jsonb_array_length(fits) <= 100 AND length(fits::text) <= 1000000) NOT VALID;
ALTER TABLE inspection_template_versions ADD CONSTRAINT inspection_template_versions_sections
    CHECK (version <= 1000 AND jsonb_array_length(sections) <= 50
           AND length(sections::text) <= 10000000) NOT VALID;
ALTER TABLE inspection_forms ADD CONSTRAINT inspection_forms_answers CHECK (
    jsonb_array_length(defects) <= 200 AND length(answers::text) <= 10000000) NOT VALID;

-- Rights -------------------------------------------------------------------------------------------

REVOKE EXECUTE ON FUNCTION keep_fixed_order, check_list_of_order, check_order_transition,
    check_order_origin, check_order_tree, sums_of_quote, check_quote_sums, check_quote_evidence,
    check_correction, check_adjustment FROM PUBLIC;
GRANT EXECUTE ON FUNCTION sums_of_quote TO opsc_app;

-- What a row is made with and never changes. A column that comes later takes a grant of its own.
DO $$
DECLARE
    kept record;
    others text;
BEGIN
    FOR kept IN SELECT * FROM (VALUES
        ('work_orders', 'number quote_id inspection_form_id question_id'),
        ('quotes', 'number revision'),
        ('quote_documents', 'quote_id'),
        ('inspection_templates', ''),
        ('inspection_forms', 'template_id template_version supersedes_id created_by'),
        ('parts', 'currency'),
        ('warehouses', ''),
        ('timesheets', 'employee_id first_day last_day')
    ) AS kept (table_name, columns)
    LOOP
        SELECT string_agg(quote_ident(attname), ', ') INTO others FROM pg_attribute
         WHERE attrelid = kept.table_name::regclass AND attnum > 0 AND NOT attisdropped
           AND attgenerated = '' AND attname NOT IN ('org_id', 'id', 'created_at')
           AND attname <> ALL (string_to_array(kept.columns, ' '));
        EXECUTE format('REVOKE UPDATE ON %I FROM opsc_app', kept.table_name);
        EXECUTE format('GRANT UPDATE (%s) ON %I TO opsc_app', others, kept.table_name);
    END LOOP;
END
$$;
