-- States that somebody has to prove: work orders, their signatures, quotes, and hours of one's own.

-- Hours of one's own -----------------------------------------------------------------------------

-- Whether the employee themselves entered the punch by hand, with a reason. It stays so, whoever the
-- employee is linked to later.
ALTER TABLE punches ADD COLUMN is_own_entry boolean NOT NULL DEFAULT false;

ALTER TABLE punches NO FORCE ROW LEVEL SECURITY;
ALTER TABLE employees NO FORCE ROW LEVEL SECURITY;
ALTER TABLE punches DISABLE TRIGGER audit;
UPDATE punches SET is_own_entry = true FROM employees AS employee
 WHERE punches.entered_by IS NOT NULL AND employee.org_id = punches.org_id
   AND employee.id = punches.employee_id AND employee.user_id = punches.entered_by;
ALTER TABLE punches ENABLE TRIGGER audit;
ALTER TABLE punches FORCE ROW LEVEL SECURITY;
ALTER TABLE employees FORCE ROW LEVEL SECURITY;

-- A shift names the order that was in somebody's hands at the claimed time.
GRANT SELECT (org_id, id, work_order_id, state, created_at) ON work_order_transitions TO opsc_ingest;

-- Signatures -------------------------------------------------------------------------------------

-- A file that was deleted, or that is another organization's, is not the signature of anything.
ALTER TABLE work_order_transitions NO FORCE ROW LEVEL SECURITY;
ALTER TABLE attachments NO FORCE ROW LEVEL SECURITY;
UPDATE work_order_transitions AS made SET signature_attachment_id = NULL
 WHERE signature_attachment_id IS NOT NULL AND NOT EXISTS (
       SELECT FROM attachments
        WHERE org_id = made.org_id AND id = made.signature_attachment_id);
ALTER TABLE work_order_transitions
    ADD CONSTRAINT work_order_signature_is_there FOREIGN KEY (org_id, signature_attachment_id)
        REFERENCES attachments (org_id, id);
ALTER TABLE work_order_transitions FORCE ROW LEVEL SECURITY;
ALTER TABLE attachments FORCE ROW LEVEL SECURITY;
CREATE INDEX work_order_signatures
    ON work_order_transitions (org_id, signature_attachment_id)
    WHERE signature_attachment_id IS NOT NULL;

-- What a state needs -------------------------------------------------------------------------------

-- Each is checked at COMMIT, and only where a state changes: what belongs to it is written in the
-- same transaction.

-- An order in somebody's hands has an assignee, and one that is completed the sign-off of that
-- completion.
CREATE FUNCTION check_work_order_state() RETURNS trigger
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
    ELSE
        PERFORM FROM work_order_assignees WHERE org_id = NEW.org_id AND work_order_id = NEW.id;
        IF NOT FOUND THEN
            RAISE check_violation USING CONSTRAINT = 'work_orders_assignee',
                MESSAGE = format('a work order that is %s has an assignee', NEW.state);
        END IF;
    END IF;
    RETURN NULL;
END
$$;
CREATE CONSTRAINT TRIGGER state AFTER UPDATE OF state ON work_orders
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
    WHEN (NEW.state <> OLD.state
          AND NEW.state IN ('assigned', 'started', 'on_hold', 'completed'))
    EXECUTE FUNCTION check_work_order_state();

-- The owner removes organizations, row by row.
CREATE FUNCTION check_last_assignee() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
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
CREATE CONSTRAINT TRIGGER assignee AFTER DELETE ON work_order_assignees
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (current_user <> 'opsc_owner')
    EXECUTE FUNCTION check_last_assignee();

-- A quote that is sent has its document, and what happened to one is its last evidence.
CREATE FUNCTION check_quote_state() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    PERFORM FROM quote_documents WHERE org_id = NEW.org_id AND quote_id = NEW.id;
    IF NOT FOUND THEN
        RAISE check_violation USING CONSTRAINT = 'quotes_document',
            MESSAGE = format('a quote that is %s has its document', NEW.state);
    END IF;
    PERFORM FROM quote_evidence
      WHERE org_id = NEW.org_id AND quote_id = NEW.id
        AND CASE convert_from(content, 'UTF8')::jsonb ->> 'kind'
            WHEN 'accepted_by_hand' THEN 'accepted'
            ELSE convert_from(content, 'UTF8')::jsonb ->> 'kind' END = NEW.state;
    IF NOT FOUND THEN
        RAISE check_violation USING CONSTRAINT = 'quotes_evidence',
            MESSAGE = format('a quote that is %s has the evidence of it', NEW.state);
    END IF;
    RETURN NULL;
END
$$;
CREATE CONSTRAINT TRIGGER state AFTER UPDATE OF state ON quotes
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
    WHEN (NEW.state <> OLD.state AND NEW.state IN ('sent', 'accepted', 'declined'))
    EXECUTE FUNCTION check_quote_state();

REVOKE EXECUTE ON FUNCTION check_work_order_state, check_last_assignee, check_quote_state
    FROM PUBLIC;

-- Stock and costs ----------------------------------------------------------------------------------

-- The quantities of the ledger are in the unit of their part.
CREATE FUNCTION check_part_unit() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    PERFORM FROM stock_movements WHERE org_id = NEW.org_id AND part_id = NEW.id LIMIT 1;
    IF FOUND THEN
        RAISE check_violation USING CONSTRAINT = 'parts_unit',
            MESSAGE = 'the unit of a part that was moved does not change';
    END IF;
    RETURN NEW;
END
$$;
REVOKE EXECUTE ON FUNCTION check_part_unit FROM PUBLIC;
CREATE TRIGGER unit BEFORE UPDATE OF unit ON parts FOR EACH ROW
    WHEN (NEW.unit <> OLD.unit) EXECUTE FUNCTION check_part_unit();

-- What an hour of each employee cost when the order was closed: {employee_id: [cents, currency]}, or
-- nulls. NULL: it is not closed, or was before this was kept.
ALTER TABLE work_orders
    ADD COLUMN labour_rates jsonb CHECK (jsonb_typeof(labour_rates) = 'object');
