-- Inspections: templates in versions, and forms that are filled in with one of them.

CREATE TABLE inspection_templates (
    org_id uuid NOT NULL REFERENCES organizations,
    id uuid NOT NULL,
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
    name_key text COLLATE "C" NOT NULL
        GENERATED ALWAYS AS (lower(name COLLATE pg_c_utf8)) STORED,
    version integer NOT NULL CHECK (version > 0),  -- the newest one
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    deleted_at timestamptz,
    PRIMARY KEY (org_id, id)
);
CREATE INDEX inspection_templates_newest ON inspection_templates (org_id, created_at DESC, id DESC);
CREATE INDEX inspection_templates_name ON inspection_templates (org_id, name_key);

-- Never changed. sections: [{title, questions: [{id, type, label, required, ...}]}].
CREATE TABLE inspection_template_versions (
    org_id uuid NOT NULL,
    template_id uuid NOT NULL,
    version integer NOT NULL CHECK (version > 0),
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
    sections jsonb NOT NULL CHECK (jsonb_typeof(sections) = 'array'),
    questions integer NOT NULL CHECK (questions BETWEEN 1 AND 200),  -- how many
    created_by uuid NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (org_id, template_id, version),
    FOREIGN KEY (org_id, template_id) REFERENCES inspection_templates (org_id, id),
    FOREIGN KEY (org_id, created_by) REFERENCES users (org_id, id)
);

-- answers: {question: {value, note}}. defects: [{question_id, label, note}].
CREATE TABLE inspection_forms (
    org_id uuid NOT NULL REFERENCES organizations,
    id uuid NOT NULL,
    template_id uuid NOT NULL,
    template_version integer NOT NULL,
    asset_id uuid,
    site_id uuid,
    employee_id uuid,
    state text NOT NULL CHECK (state IN ('draft', 'submitted', 'superseded')),
    answers jsonb NOT NULL CHECK (jsonb_typeof(answers) = 'object'),
    defects jsonb NOT NULL CHECK (jsonb_typeof(defects) = 'array'),
    supersedes_id uuid,     -- the form that this one corrects
    superseded_by_id uuid,  -- the form that corrects this one
    created_by uuid NOT NULL,
    submitted_by uuid,
    submitted_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (org_id, id),
    FOREIGN KEY (org_id, template_id, template_version)
        REFERENCES inspection_template_versions (org_id, template_id, version),
    FOREIGN KEY (org_id, asset_id) REFERENCES assets (org_id, id),
    FOREIGN KEY (org_id, site_id) REFERENCES sites (org_id, id),
    FOREIGN KEY (org_id, employee_id) REFERENCES employees (org_id, id),
    FOREIGN KEY (org_id, supersedes_id) REFERENCES inspection_forms (org_id, id),
    FOREIGN KEY (org_id, superseded_by_id) REFERENCES inspection_forms (org_id, id),
    FOREIGN KEY (org_id, created_by) REFERENCES users (org_id, id),
    FOREIGN KEY (org_id, submitted_by) REFERENCES users (org_id, id),
    CHECK (supersedes_id <> id),
    CHECK ((submitted_by IS NULL) = (state = 'draft')),
    CHECK ((submitted_at IS NULL) = (state = 'draft')),
    CHECK ((superseded_by_id IS NULL) = (state <> 'superseded'))
);
CREATE INDEX inspection_forms_newest ON inspection_forms (org_id, created_at DESC, id DESC);
CREATE INDEX inspection_forms_of_template
    ON inspection_forms (org_id, template_id, created_at DESC, id DESC);
CREATE INDEX inspection_forms_by_state
    ON inspection_forms (org_id, state, created_at DESC, id DESC);
CREATE INDEX inspection_forms_of_asset
    ON inspection_forms (org_id, asset_id, created_at DESC, id DESC) WHERE asset_id IS NOT NULL;
CREATE INDEX inspection_forms_of_site
    ON inspection_forms (org_id, site_id, created_at DESC, id DESC) WHERE site_id IS NOT NULL;
CREATE INDEX inspection_forms_of_employee
    ON inspection_forms (org_id, employee_id, created_at DESC, id DESC)
    WHERE employee_id IS NOT NULL;

-- The moves of `operations/inspection_states.py`; a test compares them.
CREATE TRIGGER moves BEFORE INSERT OR UPDATE OF state ON inspection_forms FOR EACH ROW
    EXECUTE FUNCTION check_state_move('an inspection form', 'draft',
        'draft>submitted submitted>superseded');

-- What was submitted stays as it is, but for the form that supersedes it.
CREATE FUNCTION keep_submitted_inspection() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    may_change constant text[] := '{state,superseded_by_id,updated_at}';
BEGIN
    IF to_jsonb(NEW) - may_change <> to_jsonb(OLD) - may_change THEN
        RAISE check_violation USING CONSTRAINT = 'inspection_forms_stay',
            MESSAGE = 'a submitted inspection form does not change';
    END IF;
    RETURN NEW;
END
$$;
REVOKE EXECUTE ON FUNCTION keep_submitted_inspection FROM PUBLIC;
CREATE TRIGGER stay BEFORE UPDATE ON inspection_forms FOR EACH ROW
    WHEN (OLD.state <> 'draft') EXECUTE FUNCTION keep_submitted_inspection();

-- The photos of submitted forms: their attachments stay.
CREATE TABLE inspection_photos (
    org_id uuid NOT NULL,
    form_id uuid NOT NULL,
    attachment_id uuid NOT NULL,
    PRIMARY KEY (org_id, form_id, attachment_id),
    FOREIGN KEY (org_id, form_id) REFERENCES inspection_forms (org_id, id),
    CONSTRAINT inspection_photo_is_there
        FOREIGN KEY (org_id, attachment_id) REFERENCES attachments (org_id, id)
);
CREATE INDEX inspection_photos_by_attachment ON inspection_photos (org_id, attachment_id);

-- A form and a version are their own record; what is changed of a form later is written down.
SELECT audit('inspection_templates', 'inspection_template', 'id'),
       audit('inspection_forms', 'inspection_form', 'id', 'UPDATE OR DELETE');

-- Row-level security and rights ---------------------------------------------------------------

DO $$
DECLARE
    tenant_table text;
BEGIN
    FOREACH tenant_table IN ARRAY ARRAY['inspection_templates', 'inspection_template_versions',
        'inspection_forms', 'inspection_photos']
    LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', tenant_table);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', tenant_table);
        EXECUTE format('CREATE POLICY tenant ON %I USING (org_id = (SELECT current_org_id()))',
                       tenant_table);
    END LOOP;
END
$$;

GRANT SELECT, INSERT, UPDATE ON inspection_templates, inspection_forms TO opsc_app;
GRANT SELECT, INSERT ON inspection_template_versions, inspection_photos TO opsc_app;
