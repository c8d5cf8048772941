-- Long work that a user asked for: `opsc deliver` does it in pieces, each of which commits its rows and the
-- progress together, as opsc_app for the organization (docs/decisions/0042-jobs.md).
CREATE TABLE jobs (
    org_id uuid NOT NULL REFERENCES organizations,
    id uuid NOT NULL,
    kind text NOT NULL CHECK (kind IN ('import_assets', 'import_trackers', 'upload_track')),
    state text NOT NULL DEFAULT 'waiting'
        CHECK (state IN ('waiting', 'running', 'done', 'failed', 'cancelled')),
    done integer NOT NULL DEFAULT 0 CHECK (done >= 0),
    total integer CHECK (total >= done),  -- lines or points; NULL: not known before the first piece
    result jsonb NOT NULL DEFAULT '{}'
        CHECK (jsonb_typeof(result) = 'object' AND octet_length(result::text) <= 131072),
    error text CHECK (length(error) BETWEEN 1 AND 500),  -- why it failed
    asset_id uuid,  -- whose track it is
    created_by uuid NOT NULL,
    via text NOT NULL,  -- with the two below: the author of what it changes, for the audit
    credential_id uuid NOT NULL,
    request_id text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    started_at timestamptz,
    ended_at timestamptz,
    expires_at timestamptz NOT NULL,
    claim uuid,  -- of the process that works at it until claimed_until; another one commits nothing
    claimed_until timestamptz,
    tries integer NOT NULL DEFAULT 0 CHECK (tries >= 0),  -- since the last piece
    PRIMARY KEY (org_id, id),
    FOREIGN KEY (org_id, asset_id) REFERENCES assets (org_id, id),
    FOREIGN KEY (org_id, created_by) REFERENCES users (org_id, id),
    CONSTRAINT jobs_ended CHECK ((ended_at IS NOT NULL) = (state IN ('done', 'failed', 'cancelled')))
);
CREATE INDEX jobs_newest ON jobs (org_id, created_at DESC, id DESC);
CREATE INDEX jobs_open ON jobs (org_id, id) WHERE state IN ('waiting', 'running');
CREATE INDEX jobs_expiring ON jobs (expires_at);
SELECT make_resource('jobs', audited_as => 'job', audited_on => 'INSERT');
GRANT SELECT, INSERT, DELETE,
    UPDATE (state, done, total, result, error, ended_at, claim, claimed_until, tries) ON jobs TO opsc_app;
GRANT SELECT, UPDATE (state, error, started_at, ended_at, claim, claimed_until, tries), DELETE
    ON jobs TO opsc_deliver;

-- What a job reads, until it ends: 20 MB at most.
CREATE TABLE job_inputs (
    org_id uuid NOT NULL,
    job_id uuid NOT NULL,
    content bytea NOT NULL CHECK (length(content) <= 20971520),
    PRIMARY KEY (org_id, job_id),
    FOREIGN KEY (org_id, job_id) REFERENCES jobs (org_id, id) ON DELETE CASCADE
);
SELECT make_tenant_table('job_inputs');
GRANT SELECT, INSERT, DELETE ON job_inputs TO opsc_app;
GRANT SELECT (org_id, job_id), DELETE ON job_inputs TO opsc_deliver;
