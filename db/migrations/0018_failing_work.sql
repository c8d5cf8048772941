-- online
-- Rows of background work that failed without anybody having foreseen it (docs/decisions/0061-one-row-ends-nobody.md).
CREATE TABLE failing_work (
    kind text NOT NULL CHECK (length(kind) BETWEEN 1 AND 50),
    key text NOT NULL CHECK (length(key) BETWEEN 1 AND 200),
    org_id uuid REFERENCES organizations,  -- NULL: of no organization
    tries integer NOT NULL CHECK (tries >= 0),  -- failures in a row
    error text NOT NULL,
    first_failed_at timestamptz NOT NULL DEFAULT now(),
    failed_at timestamptz NOT NULL DEFAULT now(),
    retry_at timestamptz NOT NULL,  -- 'infinity': it is set aside until an operator lets it go
    PRIMARY KEY (kind, key)
);
CREATE INDEX failing_work_by_age ON failing_work (failed_at);
CREATE INDEX failing_work_of_organization ON failing_work (org_id);
SELECT make_tenant_table('failing_work');
CREATE POLICY operator ON failing_work TO opsc_owner USING (true) WITH CHECK (true);
GRANT SELECT, INSERT, UPDATE, DELETE ON failing_work TO opsc_deliver, opsc_ingest;
