-- Parts, warehouses, the stock of a part in a warehouse, and the ledger of what changed it.
--
-- Quantities are whole thousandths of the part's unit, costs whole millionths of a cent a unit.

CREATE TABLE parts (
    org_id uuid NOT NULL REFERENCES organizations,
    id uuid NOT NULL,
    number text NOT NULL CHECK (length(number) BETWEEN 1 AND 200),
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
    name_key text COLLATE "C" NOT NULL
        GENERATED ALWAYS AS (lower(name COLLATE pg_c_utf8)) STORED,
    unit text NOT NULL CHECK (length(unit) BETWEEN 1 AND 20),
    unit_cost_cents bigint CHECK (unit_cost_cents BETWEEN 0 AND 1000000000),
    currency text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    -- The machines that it fits: [{"make", "model", "asset_id"}, ...]
    fits jsonb NOT NULL DEFAULT '[]' CHECK (jsonb_typeof(fits) = 'array'),
    notes text CHECK (length(notes) BETWEEN 1 AND 10000),
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    deleted_at timestamptz,
    PRIMARY KEY (org_id, id)
);
CREATE UNIQUE INDEX parts_number ON parts (org_id, number) WHERE deleted_at IS NULL;
CREATE INDEX parts_newest ON parts (org_id, created_at DESC, id DESC);
CREATE INDEX parts_name ON parts (org_id, name_key);

-- `parts.fits`, one row each, where an index finds them under row-level security. A trigger keeps it.
CREATE TABLE part_fits (
    org_id uuid NOT NULL,
    part_id uuid NOT NULL,
    make text,
    model text,
    asset_id uuid,
    FOREIGN KEY (org_id, part_id) REFERENCES parts (org_id, id) ON DELETE CASCADE,
    FOREIGN KEY (org_id, asset_id) REFERENCES assets (org_id, id),
    CHECK ((model IS NULL) <> (asset_id IS NULL)),
    CONSTRAINT part_fits_once UNIQUE NULLS NOT DISTINCT (org_id, part_id, make, model, asset_id)
);
CREATE INDEX part_fits_model ON part_fits (org_id, model, part_id) WHERE model IS NOT NULL;
CREATE INDEX part_fits_asset ON part_fits (org_id, asset_id, part_id) WHERE asset_id IS NOT NULL;

CREATE FUNCTION keep_part_fits() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    DELETE FROM part_fits WHERE org_id = NEW.org_id AND part_id = NEW.id;
    INSERT INTO part_fits (org_id, part_id, make, model, asset_id)
    SELECT DISTINCT NEW.org_id, NEW.id, one.make, one.model, one.asset_id
      FROM jsonb_to_recordset(NEW.fits) AS one (make text, model text, asset_id uuid);
    RETURN NULL;
END
$$;
REVOKE EXECUTE ON FUNCTION keep_part_fits FROM PUBLIC;
CREATE TRIGGER fits AFTER INSERT ON parts FOR EACH ROW EXECUTE FUNCTION keep_part_fits();
CREATE TRIGGER changed_fits AFTER UPDATE ON parts FOR EACH ROW
    WHEN (NEW.fits <> OLD.fits) EXECUTE FUNCTION keep_part_fits();

CREATE TABLE warehouses (
    org_id uuid NOT NULL REFERENCES organizations,
    id uuid NOT NULL,
    site_id uuid,
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
    FOREIGN KEY (org_id, site_id) REFERENCES sites (org_id, id),
    CHECK ((lat IS NULL) = (lon IS NULL))
);
CREATE UNIQUE INDEX warehouses_external_id ON warehouses (org_id, external_id)
    WHERE deleted_at IS NULL;
CREATE INDEX warehouses_newest ON warehouses (org_id, created_at DESC, id DESC);
CREATE INDEX warehouses_name ON warehouses (org_id, name_key);
CREATE INDEX warehouses_of_site ON warehouses (org_id, site_id) WHERE site_id IS NOT NULL;

-- The stock of a part in a warehouse: what the ledger adds up to.
CREATE TABLE inventory (
    org_id uuid NOT NULL REFERENCES organizations,
    id uuid NOT NULL,
    part_id uuid NOT NULL,
    warehouse_id uuid NOT NULL,
    on_hand_milli bigint NOT NULL DEFAULT 0,
    reserved_milli bigint NOT NULL DEFAULT 0,
    average_microcents bigint CHECK (average_microcents >= 0),  -- NULL: no cost was given yet
    reorder_point_milli bigint CHECK (reorder_point_milli BETWEEN 0 AND 1000000000000),
    reorder_quantity_milli bigint CHECK (reorder_quantity_milli BETWEEN 1 AND 1000000000000),
    is_low boolean NOT NULL GENERATED ALWAYS AS (
        coalesce(on_hand_milli - reserved_milli <= reorder_point_milli, false)) STORED,
    moved_on date,  -- the day in UTC of the last movement, and how many that day had
    moved_times integer NOT NULL DEFAULT 0 CHECK (moved_times >= 0),
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (org_id, id),
    CONSTRAINT inventory_part_in_warehouse UNIQUE (org_id, part_id, warehouse_id),
    FOREIGN KEY (org_id, part_id) REFERENCES parts (org_id, id),
    FOREIGN KEY (org_id, warehouse_id) REFERENCES warehouses (org_id, id),
    CONSTRAINT inventory_is_there CHECK (on_hand_milli BETWEEN 0 AND 1000000000000),
    CONSTRAINT inventory_reserved CHECK (reserved_milli BETWEEN 0 AND on_hand_milli)
) WITH (fillfactor = 50);
CREATE INDEX inventory_newest ON inventory (org_id, created_at DESC, id DESC);
CREATE INDEX inventory_of_warehouse
    ON inventory (org_id, warehouse_id, created_at DESC, id DESC);
CREATE INDEX inventory_low ON inventory (org_id, created_at DESC, id DESC) WHERE is_low;

-- The ledger. `number` gives the order in which a level changed: it is drawn under the level's lock.
CREATE TABLE stock_movements (
    org_id uuid NOT NULL REFERENCES organizations,
    id uuid NOT NULL,
    number bigint GENERATED ALWAYS AS IDENTITY,
    kind text NOT NULL CHECK (kind IN ('receive', 'issue', 'transfer', 'adjust', 'count',
        'reserve', 'release', 'consume', 'return')),
    part_id uuid NOT NULL,
    warehouse_id uuid NOT NULL,
    to_warehouse_id uuid,
    quantity_milli bigint NOT NULL CHECK (abs(quantity_milli) <= 1000000000000),
    on_hand_change_milli bigint NOT NULL,  -- at warehouse_id; at to_warehouse_id the opposite
    reserved_change_milli bigint NOT NULL,
    unit_cost_microcents bigint CHECK (unit_cost_microcents >= 0),
    reason text CHECK (length(reason) BETWEEN 1 AND 500),
    created_by uuid,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (org_id, id),
    FOREIGN KEY (org_id, part_id) REFERENCES parts (org_id, id),
    FOREIGN KEY (org_id, warehouse_id) REFERENCES warehouses (org_id, id),
    FOREIGN KEY (org_id, to_warehouse_id) REFERENCES warehouses (org_id, id),
    CHECK ((kind = 'transfer') = (to_warehouse_id IS NOT NULL)),
    CHECK (to_warehouse_id <> warehouse_id)
);
CREATE INDEX stock_movements_newest ON stock_movements (org_id, created_at DESC, id DESC);
CREATE INDEX stock_movements_in_order ON stock_movements (org_id, number);
CREATE INDEX stock_movements_of_part
    ON stock_movements (org_id, part_id, created_at DESC, id DESC);
CREATE INDEX stock_movements_of_warehouse
    ON stock_movements (org_id, warehouse_id, created_at DESC, id DESC);
CREATE INDEX stock_movements_to_warehouse
    ON stock_movements (org_id, to_warehouse_id, created_at DESC, id DESC)
    WHERE to_warehouse_id IS NOT NULL;
CREATE INDEX stock_movements_of_kind
    ON stock_movements (org_id, kind, created_at DESC, id DESC);

-- Movements are a ledger already, and change the quantities of `inventory` alone.
SELECT audit('parts', 'part', 'id'),
       audit('warehouses', 'warehouse', 'id'),
       audit('inventory', 'inventory', 'id',
             'INSERT OR UPDATE OF reorder_point_milli, reorder_quantity_milli OR DELETE');

-- Row-level security and rights ---------------------------------------------------------------

DO $$
DECLARE
    tenant_table text;
BEGIN
    FOREACH tenant_table IN ARRAY ARRAY[
        'parts', 'part_fits', 'warehouses', 'inventory', 'stock_movements']
    LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', tenant_table);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', tenant_table);
        EXECUTE format('CREATE POLICY tenant ON %I USING (org_id = (SELECT current_org_id()))',
                       tenant_table);
    END LOOP;
END
$$;

GRANT SELECT, INSERT, UPDATE ON parts, warehouses, inventory TO opsc_app;
GRANT SELECT, INSERT, DELETE ON part_fits TO opsc_app;
GRANT SELECT, INSERT ON stock_movements TO opsc_app;
