-- Clients, their sites, employees, gateways and attachments; what more is known of assets.
--
-- Names are looked for by their first letters. A function over a column is not leakproof, so under
-- row-level security no index on it could be used: the folded name is a column of its own, compared
-- byte by byte.

-- Organizations -------------------------------------------------------------------------------

ALTER TABLE organizations
    ADD COLUMN timezone text NOT NULL DEFAULT 'UTC' CHECK (length(timezone) BETWEEN 1 AND 64),
    ADD COLUMN updated_at timestamptz NOT NULL DEFAULT now();

-- Clients and sites ---------------------------------------------------------------------------

CREATE TABLE clients (
    org_id uuid NOT NULL REFERENCES organizations,
    id uuid NOT NULL,
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
    name_key text COLLATE "C" NOT NULL
        GENERATED ALWAYS AS (lower(name COLLATE pg_c_utf8)) STORED,
    external_id text CHECK (length(external_id) BETWEEN 1 AND 200),
    email text CHECK (length(email) BETWEEN 3 AND 254),
    phone text CHECK (length(phone) BETWEEN 1 AND 50),
    address text CHECK (length(address) BETWEEN 1 AND 500),
    notes text CHECK (length(notes) BETWEEN 1 AND 10000),
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    deleted_at timestamptz,
    PRIMARY KEY (org_id, id)
);
CREATE UNIQUE INDEX clients_external_id ON clients (org_id, external_id) WHERE deleted_at IS NULL;
CREATE INDEX clients_newest ON clients (org_id, created_at DESC, id DESC);
CREATE INDEX clients_name ON clients (org_id, name_key);

CREATE TABLE sites (
    org_id uuid NOT NULL REFERENCES organizations,
    id uuid NOT NULL,
    client_id uuid,  -- NULL: the organization's own
    zone_id uuid,    -- its geofence
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
    name_key text COLLATE "C" NOT NULL
        GENERATED ALWAYS AS (lower(name COLLATE pg_c_utf8)) STORED,
    external_id text CHECK (length(external_id) BETWEEN 1 AND 200),
    address text CHECK (length(address) BETWEEN 1 AND 500),
    lat double precision CHECK (lat BETWEEN -90 AND 90),
    lon double precision CHECK (lon BETWEEN -180 AND 180),
    notes text CHECK (length(notes) BETWEEN 1 AND 10000),
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    deleted_at timestamptz,
    PRIMARY KEY (org_id, id),
    FOREIGN KEY (org_id, client_id) REFERENCES clients (org_id, id),
    FOREIGN KEY (org_id, zone_id) REFERENCES zones (org_id, id),
    CHECK ((lat IS NULL) = (lon IS NULL))
);
CREATE UNIQUE INDEX sites_external_id ON sites (org_id, external_id) WHERE deleted_at IS NULL;
CREATE INDEX sites_newest ON sites (org_id, created_at DESC, id DESC);
CREATE INDEX sites_name ON sites (org_id, name_key);
CREATE INDEX sites_of_client ON sites (org_id, client_id) WHERE client_id IS NOT NULL;
CREATE INDEX sites_of_zone ON sites (org_id, zone_id) WHERE zone_id IS NOT NULL;

-- Assets --------------------------------------------------------------------------------------

-- A meter is a manual reading and the time it was read at.
ALTER TABLE assets
    ADD COLUMN name_key text COLLATE "C" NOT NULL
        GENERATED ALWAYS AS (lower(name COLLATE pg_c_utf8)) STORED,
    ADD COLUMN serial text CHECK (length(serial) BETWEEN 1 AND 200),
    ADD COLUMN year smallint CHECK (year BETWEEN 1800 AND 2200),
    ADD COLUMN client_id uuid,
    ADD COLUMN site_id uuid,
    ADD COLUMN mechanical_state text NOT NULL DEFAULT 'operational'
        CHECK (mechanical_state IN ('operational', 'degraded', 'down', 'in_repair', 'retired')),
    ADD COLUMN odometer_m double precision CHECK (odometer_m >= 0),
    ADD COLUMN odometer_at timestamptz,
    ADD COLUMN engine_hours_h double precision CHECK (engine_hours_h >= 0),
    ADD COLUMN engine_hours_at timestamptz,
    ADD CONSTRAINT assets_client FOREIGN KEY (org_id, client_id) REFERENCES clients (org_id, id),
    ADD CONSTRAINT assets_site FOREIGN KEY (org_id, site_id) REFERENCES sites (org_id, id),
    ADD CONSTRAINT assets_odometer CHECK ((odometer_m IS NULL) = (odometer_at IS NULL)),
    ADD CONSTRAINT assets_engine_hours
        CHECK ((engine_hours_h IS NULL) = (engine_hours_at IS NULL));
CREATE INDEX assets_name ON assets (org_id, name_key);
CREATE INDEX assets_make_and_model ON assets (org_id, make, model);
CREATE INDEX assets_model ON assets (org_id, model);
CREATE INDEX assets_state ON assets (org_id, mechanical_state);
CREATE INDEX assets_of_client ON assets (org_id, client_id) WHERE client_id IS NOT NULL;
CREATE INDEX assets_of_site ON assets (org_id, site_id) WHERE site_id IS NOT NULL;

-- Which trackers an asset has carried, the last one first: where it was last.
CREATE INDEX tracker_assignments_of_asset
    ON tracker_assignments (org_id, asset_id, assigned_from DESC);
CREATE INDEX tracker_assignments_of_tracker
    ON tracker_assignments (org_id, tracker_id) WHERE assigned_to IS NULL;

-- Who is in a zone now.
CREATE INDEX visits_open ON visits (org_id, zone_id, asset_id)
    WHERE left_at IS NULL AND NOT retracted;

-- Zones ---------------------------------------------------------------------------------------

ALTER TABLE zone_versions
    ADD COLUMN name_key text COLLATE "C" NOT NULL
        GENERATED ALWAYS AS (lower(name COLLATE pg_c_utf8)) STORED;
CREATE INDEX zone_versions_name ON zone_versions (org_id, name_key) WHERE valid_to IS NULL;

-- Employees -----------------------------------------------------------------------------------

-- certifications: [{"name", "number", "issued_on", "expires_on"}, ...]; the first day on which one
-- of them expires stands beside them, where an index finds it.
-- punch_by: what the employee may punch with. punch_site_ids: where; NULL: at any jobsite.
CREATE TABLE employees (
    org_id uuid NOT NULL REFERENCES organizations,
    id uuid NOT NULL,
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
    name_key text COLLATE "C" NOT NULL
        GENERATED ALWAYS AS (lower(name COLLATE pg_c_utf8)) STORED,
    external_id text CHECK (length(external_id) BETWEEN 1 AND 200),
    role text CHECK (length(role) BETWEEN 1 AND 200),
    email text CHECK (length(email) BETWEEN 3 AND 254),
    phone text CHECK (length(phone) BETWEEN 1 AND 50),
    user_id uuid,
    certifications jsonb NOT NULL DEFAULT '[]' CHECK (jsonb_typeof(certifications) = 'array'),
    first_expires_on date,
    punch_by text[] NOT NULL DEFAULT '{}' CHECK (punch_by <@ ARRAY['terminal', 'tracker', 'phone']),
    punch_site_ids uuid[] CHECK (cardinality(punch_site_ids) BETWEEN 1 AND 1000),
    active boolean NOT NULL DEFAULT true,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    deleted_at timestamptz,
    PRIMARY KEY (org_id, id),
    FOREIGN KEY (org_id, user_id) REFERENCES users (org_id, id)
);
CREATE UNIQUE INDEX employees_external_id ON employees (org_id, external_id)
    WHERE deleted_at IS NULL;
CREATE UNIQUE INDEX employees_user ON employees (org_id, user_id) WHERE deleted_at IS NULL;
CREATE INDEX employees_newest ON employees (org_id, created_at DESC, id DESC);
CREATE INDEX employees_name ON employees (org_id, name_key);
CREATE INDEX employees_expiring ON employees (org_id, first_expires_on)
    WHERE first_expires_on IS NOT NULL;

-- Gateways ------------------------------------------------------------------------------------

-- What forwards the positions of many devices. Hashes of the secret are kept as those of trackers.
CREATE TABLE gateways (
    org_id uuid NOT NULL REFERENCES organizations,
    id uuid NOT NULL UNIQUE,
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
    kind text NOT NULL CHECK (kind IN ('traccar', 'chirpstack', 'tts')),
    secret_hash bytea NOT NULL CHECK (length(secret_hash) = 32),  -- SHA-256 of a 256-bit secret
    broker_hash text CHECK (
        broker_hash ~ '^\$7\$[1-9][0-9]{0,6}\$[A-Za-z0-9+/=]{16,64}\$[A-Za-z0-9+/]{86}==$'),
    revoked_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (org_id, id)
);
CREATE INDEX gateways_newest ON gateways (org_id, created_at DESC, id DESC);

-- Attachments ---------------------------------------------------------------------------------

CREATE TABLE attachments (
    org_id uuid NOT NULL REFERENCES organizations,
    id uuid NOT NULL,
    asset_id uuid,  -- exactly one of these five
    site_id uuid,
    client_id uuid,
    employee_id uuid,
    zone_id uuid,
    file_name text NOT NULL CHECK (length(file_name) BETWEEN 1 AND 200),
    media_type text NOT NULL CHECK (length(media_type) BETWEEN 3 AND 100),
    size_bytes bigint NOT NULL CHECK (size_bytes > 0),
    sha256 bytea NOT NULL CHECK (length(sha256) = 32),
    created_by uuid NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (org_id, id),
    FOREIGN KEY (org_id, asset_id) REFERENCES assets (org_id, id),
    FOREIGN KEY (org_id, site_id) REFERENCES sites (org_id, id),
    FOREIGN KEY (org_id, client_id) REFERENCES clients (org_id, id),
    FOREIGN KEY (org_id, employee_id) REFERENCES employees (org_id, id),
    FOREIGN KEY (org_id, zone_id) REFERENCES zones (org_id, id),
    CONSTRAINT attachment_belongs_to_one
        CHECK (num_nonnulls(asset_id, site_id, client_id, employee_id, zone_id) = 1)
);
CREATE INDEX attachments_newest ON attachments (org_id, created_at DESC, id DESC);
CREATE INDEX attachments_of_asset ON attachments (org_id, asset_id) WHERE asset_id IS NOT NULL;
CREATE INDEX attachments_of_site ON attachments (org_id, site_id) WHERE site_id IS NOT NULL;
CREATE INDEX attachments_of_client ON attachments (org_id, client_id) WHERE client_id IS NOT NULL;
CREATE INDEX attachments_of_employee ON attachments (org_id, employee_id)
    WHERE employee_id IS NOT NULL;
CREATE INDEX attachments_of_zone ON attachments (org_id, zone_id) WHERE zone_id IS NOT NULL;

-- The bytes, in pieces: none is ever read or written whole. They are compressed already.
CREATE TABLE attachment_pieces (
    org_id uuid NOT NULL,
    attachment_id uuid NOT NULL,
    number integer NOT NULL CHECK (number >= 0),
    content bytea STORAGE EXTERNAL NOT NULL CHECK (length(content) BETWEEN 1 AND 262144),
    PRIMARY KEY (org_id, attachment_id, number),
    FOREIGN KEY (org_id, attachment_id) REFERENCES attachments (org_id, id) ON DELETE CASCADE
);

-- How much an organization keeps; its row makes uploads that end at the same time take turns.
CREATE TABLE attachment_usage (
    org_id uuid PRIMARY KEY REFERENCES organizations,
    files bigint NOT NULL CHECK (files >= 0),
    bytes bigint NOT NULL CHECK (bytes >= 0)
);

SELECT audit('clients', 'client', 'id'),
       audit('sites', 'site', 'id'),
       audit('employees', 'employee', 'id'),
       audit('gateways', 'gateway', 'id'),
       audit('attachments', 'attachment', 'id');

-- Row-level security and rights ---------------------------------------------------------------

DO $$
DECLARE
    tenant_table text;
BEGIN
    FOREACH tenant_table IN ARRAY ARRAY[
        'clients', 'sites', 'employees', 'gateways', 'attachments', 'attachment_pieces',
        'attachment_usage']
    LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', tenant_table);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', tenant_table);
        EXECUTE format('CREATE POLICY tenant ON %I USING (org_id = (SELECT current_org_id()))',
                       tenant_table);
    END LOOP;
END
$$;

GRANT UPDATE (name, timezone, updated_at) ON organizations TO opsc_app;
GRANT SELECT, INSERT, UPDATE ON clients, sites, employees, gateways TO opsc_app;
GRANT SELECT, INSERT, DELETE ON attachments, attachment_pieces TO opsc_app;
GRANT SELECT, INSERT, UPDATE ON attachment_usage TO opsc_app;
