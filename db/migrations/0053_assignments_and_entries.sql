-- A work order that is made with an assignee begins as assigned, and the audit has punches that are
-- entered by hand.

-- As in `0048_what_open_orders_name.sql`, and an order that somebody has begins as `assigned`.
DROP TRIGGER begins ON work_orders;
CREATE TRIGGER begins BEFORE INSERT ON work_orders FOR EACH ROW
    WHEN (NEW.state NOT IN ('draft', 'created', 'assigned'))
    EXECUTE FUNCTION check_state_move('a work order', 'draft created assigned', '');

-- As in `0049_rules_for_every_writer.sql`, and an order that begins as `assigned` has the transition
-- from `created`.
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
        AND from_state = coalesce(OLD.state, 'created') AND state = NEW.state;
    IF NOT FOUND THEN
        RAISE check_violation USING CONSTRAINT = 'work_orders_transition',
            MESSAGE = format('a work order becomes %s with the transition of it', NEW.state);
    END IF;
    RETURN NULL;
END
$$;
CREATE CONSTRAINT TRIGGER state_at_first AFTER INSERT ON work_orders
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (NEW.state = 'assigned')
    EXECUTE FUNCTION check_work_order_state();

-- A punch that somebody enters by hand is written down, as its review is. What was entered before this
-- migration has its `entered_by` alone.
CREATE CONSTRAINT TRIGGER audit_entry AFTER INSERT ON punches
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (NEW.entered_by IS NOT NULL)
    EXECUTE FUNCTION audit_row('punch', 'id');
