-- Webhook endpoints in full: state, filters, headers, payload, order, rotation of the secret; and
-- deliveries that can be listed.

-- Endpoints -----------------------------------------------------------------------------------

-- An endpoint gets an event that passes all of its filters. Each filter is a list: empty passes all.
-- header_names: of the headers that its owner adds; their values are sealed.
ALTER TABLE webhook_endpoints
    ADD COLUMN updated_at timestamptz NOT NULL DEFAULT now(),
    ADD COLUMN state text NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'disabled')),
    ADD COLUMN disabled_reason text CHECK (disabled_reason IN ('user', 'failures', 'gone')),
    ADD COLUMN disabled_at timestamptz,
    ADD COLUMN payload text NOT NULL DEFAULT 'full' CHECK (payload IN ('full', 'thin')),
    ADD COLUMN is_ordered boolean NOT NULL DEFAULT false,
    ADD COLUMN asset_ids uuid[] NOT NULL DEFAULT '{}' CHECK (cardinality(asset_ids) <= 100),
    ADD COLUMN zone_ids uuid[] NOT NULL DEFAULT '{}' CHECK (cardinality(zone_ids) <= 100),
    ADD COLUMN client_ids uuid[] NOT NULL DEFAULT '{}' CHECK (cardinality(client_ids) <= 100),
    ADD COLUMN tags text[] NOT NULL DEFAULT '{}' CHECK (cardinality(tags) <= 50),
    ADD COLUMN header_names text[] NOT NULL DEFAULT '{}' CHECK (cardinality(header_names) <= 10),
    ADD COLUMN headers_encrypted bytea CHECK (length(headers_encrypted) <= 20000),
    ADD COLUMN previous_secret_encrypted bytea,
    ADD COLUMN previous_secret_until timestamptz,
    ADD CHECK ((state = 'disabled') = (disabled_reason IS NOT NULL)),
    ADD CHECK ((state = 'disabled') = (disabled_at IS NOT NULL)),
    ADD CHECK ((cardinality(header_names) > 0) = (headers_encrypted IS NOT NULL)),
    ADD CHECK ((previous_secret_encrypted IS NULL) = (previous_secret_until IS NULL));

-- Endpoints whose last attempt failed: since when no attempt was accepted, and the last failure. Not
-- columns of the endpoint, whose every change is audited.
CREATE TABLE webhook_failures (
    org_id uuid NOT NULL,
    endpoint_id uuid NOT NULL,
    failing_since timestamptz NOT NULL DEFAULT now(),
    failed_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (org_id, endpoint_id)
) WITH (fillfactor = 50);

-- The UUID behind an id such as ast_01jd8x0k2m4n6p8q0r2s4t6v8w; NULL where the text is none.
CREATE FUNCTION uuid_of_id(id text) RETURNS uuid
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
    SELECT string_agg(lpad(to_hex(substr(bits.text, 3 + 8 * byte, 8)::bit(8)::integer), 2, '0'), ''
                      ORDER BY byte)::uuid
      FROM (SELECT string_agg(
                       (strpos('0123456789abcdefghjkmnpqrstvwxyz', digit) - 1)::bit(5)::text, ''
                       ORDER BY place) AS text
              FROM regexp_split_to_table(split_part(id, '_', 2), '') WITH ORDINALITY
                   AS digits (digit, place)) AS bits
     CROSS JOIN generate_series(0, 15) AS byte
     WHERE id ~ '^[a-z]+_[0-7][0-9a-hjkmnp-tv-z]{25}$'
$$;

-- The values of an event that endpoints filter by. Its assets are those that it names; its client is
-- the one that it names, else the clients of its assets. Worked out once for an event, whatever number
-- of endpoints has filters; not at all without of_org.
CREATE FUNCTION webhook_filter_values(
    of_org uuid, data json, OUT asset_ids uuid[], OUT zone_ids uuid[], OUT client_ids uuid[],
    OUT tags text[]
)
    LANGUAGE sql STABLE STRICT SET search_path = public, pg_catalog, pg_temp AS $$
    WITH named AS (
        SELECT uuid_of_id(data ->> 'asset_id') AS asset_id WHERE data ->> 'asset_id' IS NOT NULL
         UNION
        SELECT uuid_of_id(listed) FROM json_array_elements_text(
               CASE json_typeof(data -> 'asset_ids') WHEN 'array' THEN data -> 'asset_ids'
                    ELSE '[]' END) AS listed
    )
    SELECT ARRAY(SELECT asset_id FROM named WHERE asset_id IS NOT NULL),
           array_remove(ARRAY[uuid_of_id(data ->> 'zone_id')], NULL),
           CASE WHEN uuid_of_id(data ->> 'client_id') IS NOT NULL
                THEN ARRAY[uuid_of_id(data ->> 'client_id')]
                ELSE ARRAY(SELECT client_id FROM named JOIN assets ON assets.id = named.asset_id
                            WHERE assets.org_id = of_org AND client_id IS NOT NULL) END,
           ARRAY(SELECT tag FROM named JOIN asset_tags USING (asset_id)
                  CROSS JOIN LATERAL unnest(asset_tags.tags) AS tag
                  WHERE asset_tags.org_id = of_org AND asset_tags.valid_to IS NULL)
$$;

-- Deliveries ----------------------------------------------------------------------------------

-- A UUID version 7 of the time of the transaction: rows in the order of their ids are in the order
-- of their making, and new ones come to the end of the index.
CREATE FUNCTION uuid7_of_now() RETURNS uuid
    LANGUAGE sql VOLATILE AS $$
    SELECT encode(set_bit(set_bit(overlay(uuid_send(gen_random_uuid()) PLACING
               substring(int8send(floor(extract(epoch FROM now()) * 1000)::bigint) FROM 3)
               FROM 1 FOR 6), 52, 1), 53, 1), 'hex')::uuid
$$;

-- is_ordered: no delivery of its endpoint is attempted while an ordered one of a smaller seq waits.
ALTER TABLE webhook_deliveries
    ADD COLUMN id uuid NOT NULL DEFAULT uuid7_of_now(),
    ADD COLUMN created_at timestamptz NOT NULL DEFAULT now(),
    ADD COLUMN is_ordered boolean NOT NULL DEFAULT false;

-- The key begins with the event: it serves retention and lists of an event, too.
ALTER TABLE webhook_deliveries
    DROP CONSTRAINT webhook_deliveries_pkey,
    ADD PRIMARY KEY (org_id, event_id, endpoint_id);
DROP INDEX webhook_deliveries_of_event, webhook_deliveries_due;
CREATE INDEX webhook_deliveries_due
    ON webhook_deliveries (endpoint_id, is_ordered, next_attempt_at, seq) WHERE state = 'pending';
CREATE INDEX webhook_deliveries_in_order ON webhook_deliveries (endpoint_id, seq)
    WHERE state = 'pending' AND is_ordered;
CREATE UNIQUE INDEX webhook_deliveries_newest ON webhook_deliveries (org_id, id);
CREATE INDEX webhook_deliveries_of_endpoint ON webhook_deliveries (org_id, endpoint_id, id);
CREATE INDEX webhook_deliveries_failed ON webhook_deliveries (org_id, endpoint_id, id)
    WHERE state = 'failed';

-- Letters -------------------------------------------------------------------------------------

-- endpoint_id: of the webhook endpoint that was disabled.
ALTER TABLE mail_outbox
    ADD COLUMN endpoint_id uuid,
    DROP CONSTRAINT mail_outbox_purpose_check,
    ADD CONSTRAINT mail_outbox_purpose_check CHECK (purpose IN
        ('invitation', 'password_reset', 'quote', 'endpoint_disabled')),
    ADD CONSTRAINT mail_outbox_endpoint
        CHECK ((purpose = 'endpoint_disabled') = (endpoint_id IS NOT NULL));

-- Row-level security and rights ---------------------------------------------------------------

ALTER TABLE webhook_failures ENABLE ROW LEVEL SECURITY;
ALTER TABLE webhook_failures FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON webhook_failures USING (org_id = (SELECT current_org_id()));

GRANT SELECT, DELETE ON webhook_failures TO opsc_app;
GRANT UPDATE (state, attempts, next_attempt_at, claimed_until, delivered_at) ON webhook_deliveries
    TO opsc_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON webhook_failures TO opsc_deliver;
GRANT UPDATE (state, disabled_reason, disabled_at, updated_at) ON webhook_endpoints TO opsc_deliver;
GRANT SELECT (org_id, id, client_id) ON assets TO opsc_deliver;
GRANT SELECT (org_id, asset_id, tags, valid_to) ON asset_tags TO opsc_deliver;
GRANT INSERT ON mail_outbox TO opsc_deliver;
GRANT SELECT (role, created_at) ON users TO opsc_deliver;
