-- What only a superuser may do, once per cluster and database. Safe to repeat.
-- `opsc migrate` runs this when its login is a superuser, and otherwise prints it and stops.

CREATE EXTENSION IF NOT EXISTS timescaledb;
CREATE EXTENSION IF NOT EXISTS btree_gist;

DO $$
DECLARE
    wanted record;
BEGIN
    FOR wanted IN SELECT * FROM (VALUES
        ('opsc_owner', 'NOBYPASSRLS'),    -- owns the schema
        ('opsc_app', 'NOBYPASSRLS'),      -- the API: row-level security on every row
        ('opsc_ingest', 'BYPASSRLS'),     -- COPY is refused under row-level security
        ('opsc_listen', 'NOBYPASSRLS'),   -- the listener: a policy where it acts for all
        ('opsc_deliver', 'BYPASSRLS')     -- one sequencer and one delivery for all organizations
    ) AS role (name, row_security)
    LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = wanted.name) THEN
            EXECUTE format('CREATE ROLE %I LOGIN', wanted.name);
        END IF;
        EXECUTE format('ALTER ROLE %I NOSUPERUSER NOCREATEDB NOCREATEROLE %s',
                       wanted.name, wanted.row_security);
        EXECUTE format('GRANT CONNECT ON DATABASE %I TO %I', current_database(), wanted.name);
    END LOOP;
    EXECUTE format('REVOKE CONNECT, TEMPORARY ON DATABASE %I FROM PUBLIC', current_database());
    EXECUTE format('GRANT TEMPORARY ON DATABASE %I TO opsc_ingest', current_database());
    EXECUTE format('GRANT CREATE ON DATABASE %I TO opsc_owner', current_database());
END
$$;

REVOKE CREATE ON SCHEMA public FROM PUBLIC;
GRANT USAGE, CREATE ON SCHEMA public TO opsc_owner;
GRANT USAGE ON SCHEMA public TO opsc_app, opsc_ingest, opsc_listen, opsc_deliver;

-- Jobs are done by deliver as the API's role, under row-level security (`db/core/tenant.py`).
GRANT opsc_app TO opsc_deliver WITH INHERIT FALSE, SET TRUE;

-- Statistics hold values of rows. Row-level security covers what they say of the hypertable, but not
-- of its chunks.
REVOKE SELECT ON pg_catalog.pg_stats, pg_catalog.pg_stats_ext, pg_catalog.pg_stats_ext_exprs
    FROM PUBLIC;

-- Whoever sets app.org_id chooses the organization. The API does it by CALL (`act_for`), so its role has
-- no function that a smuggled expression could do it with. pg_dump of opsc_backup needs set_config.
REVOKE EXECUTE ON FUNCTION pg_catalog.set_config FROM PUBLIC;
GRANT EXECUTE ON FUNCTION pg_catalog.set_config
    TO opsc_owner, opsc_ingest, opsc_listen, opsc_deliver, pg_read_all_data;
