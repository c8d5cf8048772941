-- What a desk needs: work orders by their plan, the homes of employees, and what was open at a sign-off.

-- The expression is that of `db/resources/work_orders.py`.
CREATE INDEX work_orders_by_plan ON work_orders (
    org_id, coalesce(planned_start, timestamptz '9999-12-31 00:00:00+00'), id);

ALTER TABLE employees
    ADD COLUMN address text CHECK (length(address) BETWEEN 1 AND 500),
    ADD COLUMN emergency_contact_name text CHECK (length(emergency_contact_name) BETWEEN 1 AND 200),
    ADD COLUMN emergency_contact_phone text
        CHECK (length(emergency_contact_phone) BETWEEN 1 AND 50);

-- open_tasks: how many items of the checklist nobody had done when somebody signed; NULL of other verbs,
-- and of completions from before this was kept.
ALTER TABLE work_order_transitions
    ADD COLUMN open_tasks smallint CHECK (open_tasks BETWEEN 0 AND 200),
    ADD CONSTRAINT work_order_transitions_open_tasks CHECK (open_tasks IS NULL OR verb = 'complete');
