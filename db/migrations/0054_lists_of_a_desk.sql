-- What a desk needs: work orders by their plan, the homes of employees, what was open at a sign-off,
-- and inspections by their result, each with photos of its own.

-- Work orders and employees -----------------------------------------------------------------------

-- The expression is that of `db/resources/work_orders.py`.
CREATE INDEX work_orders_by_plan ON work_orders (
    org_id, coalesce(planned_start, timestamptz '9999-12-31 00:00:00+00'), id);

-- Not valid: nobody has one yet, and large tables are not read for that.
ALTER TABLE employees
    ADD COLUMN address text,
    ADD COLUMN emergency_contact_name text,
    ADD COLUMN emergency_contact_phone text,
    ADD CONSTRAINT employees_address_check CHECK (length(address) BETWEEN 1 AND 500) NOT VALID,
    ADD CONSTRAINT employees_emergency_contact_name_check
        CHECK (length(emergency_contact_name) BETWEEN 1 AND 200) NOT VALID,
    ADD CONSTRAINT employees_emergency_contact_phone_check
        CHECK (length(emergency_contact_phone) BETWEEN 1 AND 50) NOT VALID;

-- open_tasks: how many items of the checklist nobody had done when somebody signed; NULL of other verbs,
-- and of completions from before this was kept.
ALTER TABLE work_order_transitions
    ADD COLUMN open_tasks smallint,
    ADD CONSTRAINT work_order_transitions_open_tasks_check
        CHECK (open_tasks BETWEEN 0 AND 200) NOT VALID,
    ADD CONSTRAINT work_order_transitions_open_tasks
        CHECK (open_tasks IS NULL OR verb = 'complete') NOT VALID;

-- Inspections -------------------------------------------------------------------------------------

CREATE INDEX inspection_forms_failed ON inspection_forms (org_id, created_at DESC, id DESC)
    WHERE state <> 'draft' AND defects <> '[]';
CREATE INDEX inspection_forms_passed ON inspection_forms (org_id, created_at DESC, id DESC)
    WHERE state <> 'draft' AND defects = '[]';

-- As in `0051_records_of_the_application.sql`, and a photo serves one form, and those that correct it.
-- Whoever keeps a photo takes turns with others who keep it.
CREATE OR REPLACE FUNCTION check_inspection_photo() RETURNS trigger
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
    PERFORM check_acting_for(NEW.org_id);
    PERFORM pg_advisory_xact_lock(
        hashtextextended(concat_ws('/', NEW.org_id, NEW.attachment_id, 'inspection'), 11));
    PERFORM FROM inspection_photos
      WHERE org_id = NEW.org_id AND attachment_id = NEW.attachment_id AND form_id NOT IN (
            WITH RECURSIVE corrected (id) AS (
                SELECT NEW.form_id
                 UNION
                SELECT form.supersedes_id FROM corrected
                  JOIN inspection_forms AS form
                    ON form.org_id = NEW.org_id AND form.id = corrected.id
                 WHERE form.supersedes_id IS NOT NULL)
            SELECT id FROM corrected);
    IF FOUND THEN
        RAISE check_violation USING CONSTRAINT = 'inspection_photos_of_one_form',
            MESSAGE = 'a photo serves one form';
    END IF;
    RETURN NULL;
END
$$;
