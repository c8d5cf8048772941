-- What a work order comes from (a quote, a defect), the parts that it plans and uses, and its costs.

-- quote_id: the quote that it was made of. inspection_form_id, question_id: the defect that it mends.
ALTER TABLE work_orders
    ADD COLUMN quote_id uuid,
    ADD COLUMN inspection_form_id uuid,
    ADD COLUMN question_id text CHECK (length(question_id) BETWEEN 1 AND 100),
    ADD CONSTRAINT work_orders_quote FOREIGN KEY (org_id, quote_id) REFERENCES quotes (org_id, id),
    ADD CONSTRAINT work_orders_inspection_form
        FOREIGN KEY (org_id, inspection_form_id) REFERENCES inspection_forms (org_id, id),
    ADD CONSTRAINT work_order_of_a_defect
        CHECK ((inspection_form_id IS NULL) = (question_id IS NULL)),
    ADD CONSTRAINT work_order_of_quote UNIQUE (org_id, quote_id),
    ADD CONSTRAINT work_order_of_defect UNIQUE (org_id, inspection_form_id, question_id);

-- Parts --------------------------------------------------------------------------------------

-- A part that an order plans or uses. warehouse_id: where it is reserved; NULL: not chosen.
-- reserved: of what is still to be used. used: less what came back. cost: of what was used, in whole
-- cents of the part's currency, as it was then.
CREATE TABLE work_order_parts (
    org_id uuid NOT NULL,
    id uuid NOT NULL,
    work_order_id uuid NOT NULL,
    part_id uuid NOT NULL,
    warehouse_id uuid,
    planned_milli bigint NOT NULL CHECK (planned_milli BETWEEN 0 AND 1000000000000),
    reserved_milli bigint NOT NULL DEFAULT 0,
    used_milli bigint NOT NULL DEFAULT 0 CHECK (used_milli BETWEEN 0 AND 1000000000000),
    cost_cents bigint NOT NULL DEFAULT 0 CHECK (cost_cents >= 0),
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (org_id, id),
    CONSTRAINT work_order_part_once UNIQUE (org_id, work_order_id, part_id),
    FOREIGN KEY (org_id, work_order_id) REFERENCES work_orders (org_id, id),
    FOREIGN KEY (org_id, part_id) REFERENCES parts (org_id, id),
    FOREIGN KEY (org_id, warehouse_id) REFERENCES warehouses (org_id, id),
    CHECK (reserved_milli = 0 OR warehouse_id IS NOT NULL),
    CONSTRAINT work_order_part_reserved
        CHECK (reserved_milli BETWEEN 0 AND greatest(planned_milli - used_milli, 0))
);
CREATE INDEX work_order_parts_of_order
    ON work_order_parts (org_id, work_order_id, created_at DESC, id DESC);
CREATE INDEX work_order_parts_reserved
    ON work_order_parts (org_id, part_id, warehouse_id) WHERE reserved_milli > 0;

-- The order that a movement was made for.
ALTER TABLE stock_movements
    ADD COLUMN work_order_id uuid,
    ADD CONSTRAINT stock_movements_work_order
        FOREIGN KEY (org_id, work_order_id) REFERENCES work_orders (org_id, id);
CREATE INDEX stock_movements_of_work_order
    ON stock_movements (org_id, work_order_id, created_at DESC, id DESC)
    WHERE work_order_id IS NOT NULL;

-- The ledger has what is reserved and used; what somebody plans is written down.
SELECT audit('work_order_parts', 'work_order', 'work_order_id',
             'INSERT OR UPDATE OF planned_milli, warehouse_id OR DELETE');

-- Costs --------------------------------------------------------------------------------------

-- currency: of the hourly cost.
ALTER TABLE employees
    ADD COLUMN hourly_cost_cents bigint CHECK (hourly_cost_cents BETWEEN 0 AND 1000000000),
    ADD COLUMN currency text CHECK (currency ~ '^[A-Z]{3}$'),
    ADD CONSTRAINT employees_cost CHECK ((hourly_cost_cents IS NULL) = (currency IS NULL));

-- Inspections ----------------------------------------------------------------------------------

ALTER TABLE inspection_forms
    ADD COLUMN work_order_id uuid,
    ADD CONSTRAINT inspection_forms_work_order
        FOREIGN KEY (org_id, work_order_id) REFERENCES work_orders (org_id, id);
CREATE INDEX inspection_forms_of_work_order
    ON inspection_forms (org_id, work_order_id, created_at DESC, id DESC)
    WHERE work_order_id IS NOT NULL;

-- Row-level security and rights ---------------------------------------------------------------

ALTER TABLE work_order_parts ENABLE ROW LEVEL SECURITY;
ALTER TABLE work_order_parts FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON work_order_parts USING (org_id = (SELECT current_org_id()));
GRANT SELECT, INSERT, UPDATE ON work_order_parts TO opsc_app;
-- A quote says which work order was made of it.
GRANT SELECT (org_id, id, quote_id) ON work_orders TO opsc_deliver;
