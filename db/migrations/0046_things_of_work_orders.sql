-- The things that a work order names are there: its client, its site and its assignees.

-- Somebody signed for it. Rows from before that are deleted already may stay so.
ALTER TABLE work_orders ADD CONSTRAINT work_orders_signed_stay
    CHECK (deleted_at IS NULL OR state NOT IN ('completed', 'closed')) NOT VALID;

-- What a work order names that has not ended is not deleted.
CREATE FUNCTION refuse_deletion_in_orders() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    CASE TG_TABLE_NAME
        WHEN 'employees' THEN
            PERFORM FROM work_order_assignees AS assignee JOIN work_orders AS job
                ON job.org_id = assignee.org_id AND job.id = assignee.work_order_id
              WHERE assignee.org_id = NEW.org_id AND assignee.employee_id = NEW.id
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
    END CASE;
    IF FOUND THEN
        RAISE check_violation USING CONSTRAINT = TG_TABLE_NAME || '_in_work_orders',
            MESSAGE = 'a work order that has not ended names it';
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER in_work_orders AFTER UPDATE OF deleted_at ON employees FOR EACH ROW
    WHEN (OLD.deleted_at IS NULL AND NEW.deleted_at IS NOT NULL)
    EXECUTE FUNCTION refuse_deletion_in_orders();
CREATE TRIGGER in_work_orders AFTER UPDATE OF deleted_at ON clients FOR EACH ROW
    WHEN (OLD.deleted_at IS NULL AND NEW.deleted_at IS NOT NULL)
    EXECUTE FUNCTION refuse_deletion_in_orders();
CREATE TRIGGER in_work_orders AFTER UPDATE OF deleted_at ON sites FOR EACH ROW
    WHEN (OLD.deleted_at IS NULL AND NEW.deleted_at IS NOT NULL)
    EXECUTE FUNCTION refuse_deletion_in_orders();

-- What an order is given is there, and stays until the transaction ends; so is what it has when it
-- is restored or reopened. A site may go to another client later: the order keeps both.
CREATE FUNCTION check_things_of_order() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    site_client_id uuid;
BEGIN
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
CREATE TRIGGER things_at_first AFTER INSERT ON work_orders FOR EACH ROW
    WHEN (NEW.client_id IS NOT NULL OR NEW.site_id IS NOT NULL)
    EXECUTE FUNCTION check_things_of_order();
CREATE TRIGGER things AFTER UPDATE ON work_orders FOR EACH ROW
    WHEN (NEW.client_id IS DISTINCT FROM OLD.client_id OR NEW.site_id IS DISTINCT FROM OLD.site_id
          OR (OLD.deleted_at IS NOT NULL AND NEW.deleted_at IS NULL)
          OR (OLD.state IN ('completed', 'closed', 'cancelled', 'cannot_complete')
              AND NEW.state NOT IN ('completed', 'closed', 'cancelled', 'cannot_complete')))
    EXECUTE FUNCTION check_things_of_order();

CREATE FUNCTION check_new_assignee() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    PERFORM FROM employees
      WHERE org_id = NEW.org_id AND id = NEW.employee_id AND deleted_at IS NULL FOR SHARE;
    IF NOT FOUND THEN
        RAISE check_violation USING CONSTRAINT = 'work_orders_assignee_is_there',
            MESSAGE = 'nobody who is deleted is given a work order';
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER is_there AFTER INSERT ON work_order_assignees FOR EACH ROW
    EXECUTE FUNCTION check_new_assignee();

REVOKE EXECUTE ON FUNCTION refuse_deletion_in_orders, check_things_of_order, check_new_assignee
    FROM PUBLIC;
