-- Quotas that hold exactly, and quotas of one organization.

-- most: what an organization may have in place of what its plan says (`db/resources/quotas.py`).
CREATE TABLE organization_quotas (
    org_id uuid NOT NULL REFERENCES organizations,
    quota text NOT NULL CHECK (length(quota) BETWEEN 1 AND 63),
    most bigint NOT NULL CHECK (most >= 0),
    PRIMARY KEY (org_id, quota)
);
ALTER TABLE organization_quotas ENABLE ROW LEVEL SECURITY;
ALTER TABLE organization_quotas FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON organization_quotas USING (org_id = (SELECT current_org_id()));
GRANT SELECT ON organization_quotas TO opsc_app;
SELECT audit('organization_quotas', 'organization', 'org_id');

-- As in `0034_search_quotas_numbers.sql`, and no transaction that has said how many rows there may be
-- (`app.quota_` and the table) commits more. Writers take turns here, so none passes another.
CREATE OR REPLACE FUNCTION count_row() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    most constant bigint := nullif(current_setting('app.quota_' || TG_TABLE_NAME, true), '');
    stored_now bigint;
BEGIN
    INSERT INTO row_counts AS kept (org_id, table_name, rows, stored)
    VALUES (coalesce(NEW.org_id, OLD.org_id), TG_TABLE_NAME, TG_ARGV[0]::bigint, TG_ARGV[1]::bigint)
    ON CONFLICT (org_id, table_name) DO UPDATE
       SET rows = kept.rows + excluded.rows, stored = kept.stored + excluded.stored
    RETURNING stored INTO stored_now;
    IF TG_ARGV[1]::bigint > 0 AND stored_now > most THEN
        RAISE check_violation USING CONSTRAINT = 'quota_exceeded', TABLE = TG_TABLE_NAME,
            DETAIL = most, MESSAGE = format('there is room for %s %s', most, TG_TABLE_NAME);
    END IF;
    RETURN NULL;
END
$$;
