-- Work orders: jobs of employees at sites, with their states, comments and the hours that they take.

-- The last number that an organization has given. No number is given twice.
CREATE TABLE work_order_numbers (
    org_id uuid PRIMARY KEY REFERENCES organizations,
    last integer NOT NULL CHECK (last > 0)
);

-- checklist: [{"text", "done", "by", "at"}, ...]. started_at: of the first start. ended_at: when it
-- was completed, cancelled or given up; NULL again once it is reopened. due_key: lists are sorted by
-- it; orders without a due time come last.
CREATE TABLE work_orders (
    org_id uuid NOT NULL REFERENCES organizations,
    id uuid NOT NULL,
    number integer NOT NULL,
    title text NOT NULL CHECK (length(title) BETWEEN 1 AND 200),
    description text CHECK (length(description) BETWEEN 1 AND 10000),
    priority text NOT NULL CHECK (priority IN ('low', 'normal', 'high', 'urgent')),
    state text NOT NULL CHECK (state IN (
        'draft', 'created', 'assigned', 'started', 'on_hold', 'completed', 'closed', 'cancelled',
        'cannot_complete')),
    client_id uuid,
    site_id uuid,
    parent_id uuid,
    planned_start timestamptz,
    planned_end timestamptz,
    due_at timestamptz,
    due_key timestamptz NOT NULL
        GENERATED ALWAYS AS (coalesce(due_at, timestamptz '9999-12-31 00:00:00+00')) STORED,
    checklist jsonb NOT NULL DEFAULT '[]' CHECK (jsonb_typeof(checklist) = 'array'),
    labour_cost_cents bigint CHECK (labour_cost_cents >= 0),
    currency text CHECK (currency ~ '^[A-Z]{3}$'),
    started_at timestamptz,
    ended_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    deleted_at timestamptz,
    PRIMARY KEY (org_id, id),
    UNIQUE (org_id, number),
    FOREIGN KEY (org_id, client_id) REFERENCES clients (org_id, id),
    FOREIGN KEY (org_id, site_id) REFERENCES sites (org_id, id),
    FOREIGN KEY (org_id, parent_id) REFERENCES work_orders (org_id, id),
    CHECK (parent_id <> id),
    CHECK ((planned_start IS NULL) = (planned_end IS NULL)),
    CHECK (planned_start <= planned_end),
    CHECK (labour_cost_cents IS NULL OR currency IS NOT NULL)
);
CREATE INDEX work_orders_newest ON work_orders (org_id, created_at DESC, id DESC);
CREATE INDEX work_orders_due ON work_orders (org_id, due_key, id);
CREATE INDEX work_orders_by_state ON work_orders (org_id, state, created_at DESC, id DESC);
CREATE INDEX work_orders_by_priority ON work_orders (org_id, priority, created_at DESC, id DESC);
CREATE INDEX work_orders_planned ON work_orders (org_id, planned_start)
    WHERE planned_start IS NOT NULL;
CREATE INDEX work_orders_of_client ON work_orders (org_id, client_id, created_at DESC, id DESC)
    WHERE client_id IS NOT NULL;
CREATE INDEX work_orders_of_site ON work_orders (org_id, site_id, created_at DESC, id DESC)
    WHERE site_id IS NOT NULL;
CREATE INDEX work_orders_of_parent ON work_orders (org_id, parent_id, created_at DESC, id DESC)
    WHERE parent_id IS NOT NULL;

-- The moves of `operations/work_order_states.py`; a test compares them.
CREATE TRIGGER moves BEFORE INSERT OR UPDATE OF state ON work_orders FOR EACH ROW
    EXECUTE FUNCTION check_state_move('a work order', 'draft created',
        'draft>created draft>cancelled created>assigned created>cancelled assigned>started'
        ' assigned>cancelled assigned>cannot_complete started>on_hold started>completed'
        ' started>cancelled started>cannot_complete on_hold>started on_hold>cancelled'
        ' on_hold>cannot_complete completed>closed completed>assigned cannot_complete>closed'
        ' cannot_complete>assigned closed>assigned cancelled>created');

CREATE TABLE work_order_assignees (
    org_id uuid NOT NULL,
    work_order_id uuid NOT NULL,
    employee_id uuid NOT NULL,
    PRIMARY KEY (org_id, work_order_id, employee_id),
    FOREIGN KEY (org_id, work_order_id) REFERENCES work_orders (org_id, id),
    FOREIGN KEY (org_id, employee_id) REFERENCES employees (org_id, id)
);
CREATE INDEX work_order_assignees_of_employee
    ON work_order_assignees (org_id, employee_id, work_order_id);

CREATE TABLE work_order_assets (
    org_id uuid NOT NULL,
    work_order_id uuid NOT NULL,
    asset_id uuid NOT NULL,
    PRIMARY KEY (org_id, work_order_id, asset_id),
    FOREIGN KEY (org_id, work_order_id) REFERENCES work_orders (org_id, id),
    FOREIGN KEY (org_id, asset_id) REFERENCES assets (org_id, id)
);
CREATE INDEX work_order_assets_of_asset ON work_order_assets (org_id, asset_id, work_order_id);

CREATE TABLE work_order_comments (
    org_id uuid NOT NULL,
    id uuid NOT NULL,
    work_order_id uuid NOT NULL,
    user_id uuid NOT NULL,
    text text NOT NULL CHECK (length(text) BETWEEN 1 AND 10000),
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (org_id, id),
    FOREIGN KEY (org_id, work_order_id) REFERENCES work_orders (org_id, id),
    FOREIGN KEY (org_id, user_id) REFERENCES users (org_id, id)
);
CREATE INDEX work_order_comments_of_order
    ON work_order_comments (org_id, work_order_id, created_at DESC, id DESC);

-- Each way from a state to another that somebody took; never changed. from_state NULL: it was made.
-- The last columns are the sign-off of a completion; signature: a PNG.
CREATE TABLE work_order_transitions (
    org_id uuid NOT NULL,
    id uuid NOT NULL,
    work_order_id uuid NOT NULL,
    verb text NOT NULL CHECK (length(verb) BETWEEN 1 AND 20),
    from_state text,
    state text NOT NULL,
    user_id uuid NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    lat double precision CHECK (lat BETWEEN -90 AND 90),
    lon double precision CHECK (lon BETWEEN -180 AND 180),
    reason text CHECK (length(reason) BETWEEN 1 AND 1000),
    signer_name text CHECK (length(signer_name) BETWEEN 1 AND 200),
    signed_at timestamptz,
    signature bytea CHECK (length(signature) BETWEEN 8 AND 16384),
    signature_attachment_id uuid,
    PRIMARY KEY (org_id, id),
    FOREIGN KEY (org_id, work_order_id) REFERENCES work_orders (org_id, id),
    FOREIGN KEY (org_id, user_id) REFERENCES users (org_id, id),
    CHECK ((lat IS NULL) = (lon IS NULL)),
    CHECK ((signer_name IS NULL) = (signed_at IS NULL)),
    CONSTRAINT transition_says_why CHECK (
        (verb IN ('hold', 'cancel', 'cannot-complete')) = (reason IS NOT NULL)),
    CONSTRAINT completion_is_signed CHECK ((verb = 'complete') = (signer_name IS NOT NULL))
);
CREATE INDEX work_order_transitions_of_order
    ON work_order_transitions (org_id, work_order_id, created_at DESC, id DESC);

-- Attachments, punches and shifts --------------------------------------------------------------

ALTER TABLE attachments
    ADD COLUMN work_order_id uuid,
    ADD CONSTRAINT attachments_work_order
        FOREIGN KEY (org_id, work_order_id) REFERENCES work_orders (org_id, id),
    DROP CONSTRAINT attachment_belongs_to_one,
    ADD CONSTRAINT attachment_belongs_to_one CHECK (
        num_nonnulls(asset_id, site_id, client_id, employee_id, zone_id, work_order_id) = 1);
CREATE INDEX attachments_of_work_order ON attachments (org_id, work_order_id)
    WHERE work_order_id IS NOT NULL;

-- The order that an employee begins to work on: see `db/punches/rows.py`.
ALTER TABLE punches
    ADD COLUMN work_order_id uuid,
    ADD CONSTRAINT punches_work_order
        FOREIGN KEY (org_id, work_order_id) REFERENCES work_orders (org_id, id);
ALTER TABLE shifts ADD CONSTRAINT shifts_work_order
    FOREIGN KEY (org_id, work_order_id) REFERENCES work_orders (org_id, id);
CREATE INDEX shifts_of_work_order ON shifts (org_id, work_order_id)
    WHERE work_order_id IS NOT NULL;

-- A comment and a transition are their own record; the audit has the states of orders themselves.
SELECT audit('work_orders', 'work_order', 'id'),
       audit('work_order_assignees', 'work_order', 'work_order_id'),
       audit('work_order_assets', 'work_order', 'work_order_id'),
       audit('work_order_comments', 'work_order', 'work_order_id');

-- Row-level security and rights ---------------------------------------------------------------

DO $$
DECLARE
    tenant_table text;
BEGIN
    FOREACH tenant_table IN ARRAY ARRAY[
        'work_order_numbers', 'work_orders', 'work_order_assignees', 'work_order_assets',
        'work_order_comments', 'work_order_transitions']
    LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', tenant_table);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', tenant_table);
        EXECUTE format('CREATE POLICY tenant ON %I USING (org_id = (SELECT current_org_id()))',
                       tenant_table);
    END LOOP;
END
$$;

GRANT SELECT, INSERT, UPDATE ON work_order_numbers, work_orders TO opsc_app;
GRANT SELECT, INSERT, DELETE ON work_order_assignees, work_order_assets TO opsc_app;
GRANT SELECT, INSERT ON work_order_comments, work_order_transitions TO opsc_app;
GRANT SELECT ON work_orders, work_order_assignees TO opsc_ingest;
-- Who names an attachment locks it, which takes a right to update a column.
GRANT UPDATE (file_name) ON attachments TO opsc_app;
