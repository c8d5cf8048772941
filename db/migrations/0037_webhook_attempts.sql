-- The log of attempts at webhooks, statistics of endpoints by the hour, and test events.

-- Attempts ------------------------------------------------------------------------------------

-- Of an attempt without an answer the log has one error whatever went wrong, and no duration: it
-- would tell which ports of a host are closed, filtered or open.
CREATE TABLE webhook_attempts (
    org_id uuid NOT NULL,
    delivery_id uuid NOT NULL,
    attempted_at timestamptz NOT NULL,
    status integer,
    duration_ms integer CHECK (duration_ms >= 0),
    error text CHECK (length(error) <= 500),
    response_headers text CHECK (length(response_headers) <= 12000),  -- JSON
    response_body text CHECK (length(response_body) <= 1024),
    next_attempt_at timestamptz,  -- NULL: none follows
    PRIMARY KEY (org_id, delivery_id, attempted_at),
    CHECK ((status IS NULL) = (duration_ms IS NULL))
);
-- As with gps_events: row-level security does not cover chunks, so they are in a schema of their own.
CREATE SCHEMA attempt_chunks;
SELECT create_hypertable('webhook_attempts', 'attempted_at',
                         chunk_time_interval => INTERVAL '1 day', create_default_indexes => false,
                         associated_schema_name => 'attempt_chunks');

-- Drops the chunks of attempts that end by then. Only the owner of a hypertable may.
CREATE FUNCTION drop_attempt_chunks(ended_by timestamptz) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    RETURN (SELECT count(*) FROM drop_chunks('webhook_attempts', older_than => ended_by));
END
$$;

-- Statistics ----------------------------------------------------------------------------------

-- durations: numbers of answered attempts, by the classes of db/delivery/endpoint_hours.py.
CREATE TABLE webhook_endpoint_hours (
    org_id uuid NOT NULL,
    endpoint_id uuid NOT NULL,
    hour timestamptz NOT NULL,
    attempts bigint NOT NULL,
    accepted bigint NOT NULL,
    durations bigint[] NOT NULL CHECK (cardinality(durations) = 49),
    PRIMARY KEY (org_id, endpoint_id, hour)
) WITH (fillfactor = 50);
CREATE INDEX webhook_endpoint_hours_oldest ON webhook_endpoint_hours (hour);

-- Tests ---------------------------------------------------------------------------------------

-- A test event is an example for one endpoint. It gets no seq, and is in no list of events.
ALTER TABLE events ADD COLUMN is_test boolean NOT NULL DEFAULT false;
DROP INDEX events_without_seq;
CREATE INDEX events_without_seq ON events (position) WHERE seq IS NULL AND NOT is_test;
CREATE INDEX events_of_tests ON events (org_id, created_at) WHERE is_test;

-- Row-level security and rights ---------------------------------------------------------------

DO $$
DECLARE
    tenant_table text;
BEGIN
    FOREACH tenant_table IN ARRAY ARRAY['webhook_attempts', 'webhook_endpoint_hours']
    LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', tenant_table);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', tenant_table);
        EXECUTE format('CREATE POLICY tenant ON %I USING (org_id = (SELECT current_org_id()))',
                       tenant_table);
    END LOOP;
END
$$;

REVOKE EXECUTE ON FUNCTION drop_attempt_chunks FROM PUBLIC;
GRANT EXECUTE ON FUNCTION drop_attempt_chunks TO opsc_deliver;
GRANT SELECT ON webhook_attempts, webhook_endpoint_hours TO opsc_app;
GRANT INSERT (is_test) ON events TO opsc_app;
GRANT INSERT (org_id, id, endpoint_id, event_id, seq, is_ordered) ON webhook_deliveries TO opsc_app;
GRANT SELECT, INSERT ON webhook_attempts TO opsc_deliver;
GRANT SELECT, INSERT, UPDATE, DELETE ON webhook_endpoint_hours TO opsc_deliver;
