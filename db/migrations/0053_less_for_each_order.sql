-- A new work order costs less, and what it must be is as before.

-- Ways of work orders --------------------------------------------------------------------------

-- PostgreSQL reads each check from its text again in each statement that inserts. The 21 texts of this
-- one took a thirtieth of a new order, and a creation needs none of them. A test compares them with
-- `MOVES`.
CREATE FUNCTION is_way_of_order(from_state text, verb text, state text) RETURNS boolean
    LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN coalesce(concat_ws(' ', from_state, verb, state) = ANY (ARRAY[
        'draft issue created', 'draft cancel cancelled', 'created assign assigned',
        'created cancel cancelled', 'assigned assign assigned', 'assigned start started',
        'assigned cancel cancelled', 'assigned cannot-complete cannot_complete',
        'started hold on_hold', 'started complete completed', 'started cancel cancelled',
        'started cannot-complete cannot_complete', 'on_hold resume started',
        'on_hold cancel cancelled', 'on_hold cannot-complete cannot_complete',
        'completed close closed', 'completed reopen assigned', 'cannot_complete close closed',
        'cannot_complete reopen assigned', 'closed reopen assigned',
        'cancelled reopen created']), false);
END
$$;
ALTER TABLE work_order_transitions
    DROP CONSTRAINT work_order_transitions_way,
    ADD CONSTRAINT work_order_transitions_way CHECK (
        CASE WHEN verb = 'create' THEN from_state IS NULL AND state IN ('draft', 'created')
        ELSE is_way_of_order(from_state, verb, state) END) NOT VALID;

-- New assignees and assets ---------------------------------------------------------------------

-- That what is named is there, and that the list may grow, are checked by one function for a row; they
-- were two. As in `0049_rules_for_every_writer.sql`, the order is locked before its rows are looked at:
-- who adds or removes some takes turns.
CREATE OR REPLACE FUNCTION check_new_assignee() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    PERFORM FROM employees
      WHERE org_id = NEW.org_id AND id = NEW.employee_id AND deleted_at IS NULL FOR SHARE;
    IF NOT FOUND THEN
        RAISE check_violation USING CONSTRAINT = 'work_orders_assignee_is_there',
            MESSAGE = 'nobody who is deleted is given a work order';
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
DROP TRIGGER list ON work_order_assignees;

CREATE OR REPLACE FUNCTION check_new_asset_of_order() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    PERFORM FROM assets
      WHERE org_id = NEW.org_id AND id = NEW.asset_id AND deleted_at IS NULL FOR SHARE;
    IF NOT FOUND THEN
        RAISE check_violation USING CONSTRAINT = 'work_orders_asset_is_there',
            MESSAGE = 'an asset of a work order is not deleted';
    END IF;
    PERFORM FROM work_orders
      WHERE org_id = NEW.org_id AND id = NEW.work_order_id AND deleted_at IS NULL
        AND state NOT IN ('completed', 'closed', 'cancelled')
        FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RAISE check_violation USING CONSTRAINT = 'work_orders_fixed',
            MESSAGE = 'the assets of a work order that is over do not change';
    END IF;
    PERFORM FROM work_order_assets
      WHERE org_id = NEW.org_id AND work_order_id = NEW.work_order_id OFFSET 100 LIMIT 1;
    IF FOUND THEN
        RAISE check_violation USING CONSTRAINT = 'work_orders_most',
            MESSAGE = 'a work order has at most 100 assets';
    END IF;
    RETURN NULL;
END
$$;
DROP TRIGGER list ON work_order_assets;

-- As in `0049_rules_for_every_writer.sql`, but for new assignees and assets.
CREATE OR REPLACE FUNCTION check_list_of_order() RETURNS trigger
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

REVOKE EXECUTE ON FUNCTION is_way_of_order FROM PUBLIC;
GRANT EXECUTE ON FUNCTION is_way_of_order TO opsc_app;
