-- Lots and serials of parts: what is on hand of each, kept by a trigger from the movements that name
-- them. The application only reads what the trigger keeps.

-- tracking: lot: each movement names a lot; serial: each movement names a serial for each piece.
ALTER TABLE parts
    ADD COLUMN tracking text NOT NULL DEFAULT 'none'
        CHECK (tracking IN ('none', 'lot', 'serial')),
    ADD CONSTRAINT parts_tracking_key UNIQUE (org_id, id, tracking);

-- tracking: that of the part. lots_milli: what the lots and serials at the level add up to.
ALTER TABLE inventory
    ADD COLUMN tracking text NOT NULL DEFAULT 'none',
    ADD COLUMN lots_milli bigint NOT NULL DEFAULT 0 CHECK (lots_milli >= 0),
    ADD CONSTRAINT inventory_part_tracking FOREIGN KEY (org_id, part_id, tracking)
        REFERENCES parts (org_id, id, tracking) ON UPDATE CASCADE;

-- expires_on: of the lot or the serials that come in.
ALTER TABLE stock_movements
    ADD COLUMN lot text CHECK (length(lot) BETWEEN 1 AND 60),
    ADD COLUMN serials text[],
    ADD COLUMN expires_on date,
    ADD CONSTRAINT stock_movements_lot_or_serials CHECK (
        (lot IS NULL AND serials IS NULL)
        OR ((lot IS NULL OR serials IS NULL) AND kind NOT IN ('reserve', 'release'))),
    ADD CONSTRAINT stock_movements_serials CHECK (
        serials IS NULL
        OR (array_ndims(serials) = 1 AND cardinality(serials) <= 200
            AND array_position(serials, NULL) IS NULL AND kind <> 'count'
            AND abs(on_hand_change_milli) = 1000 * cardinality(serials))),
    ADD CONSTRAINT stock_movements_expires_on CHECK (
        expires_on IS NULL OR (kind = 'receive' AND (lot IS NOT NULL OR serials IS NOT NULL)));
CREATE INDEX stock_movements_of_lot ON stock_movements (org_id, lot, created_at DESC, id DESC)
    WHERE lot IS NOT NULL;

-- `stock_movements.serials`, one row each, where an index finds them under row-level security.
CREATE TABLE stock_movement_serials (
    org_id uuid NOT NULL,
    serial text NOT NULL CHECK (length(serial) BETWEEN 1 AND 60),
    movement_id uuid NOT NULL,
    PRIMARY KEY (org_id, serial, movement_id),
    FOREIGN KEY (org_id, movement_id) REFERENCES stock_movements (org_id, id)
);
CREATE INDEX stock_movement_serials_of_movement
    ON stock_movement_serials (org_id, movement_id);

-- lot: a lot, or a serial. Rows stay when nothing is left.
CREATE TABLE stock_lots (
    org_id uuid NOT NULL,
    id uuid NOT NULL,
    part_id uuid NOT NULL,
    warehouse_id uuid NOT NULL,
    lot text NOT NULL CHECK (length(lot) BETWEEN 1 AND 60),
    is_serial boolean NOT NULL,
    expires_on date,
    on_hand_milli bigint NOT NULL,
    is_in_stock boolean NOT NULL GENERATED ALWAYS AS (on_hand_milli > 0) STORED,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (org_id, id),
    CONSTRAINT stock_lots_once UNIQUE (org_id, part_id, lot, warehouse_id),
    FOREIGN KEY (org_id, part_id, warehouse_id)
        REFERENCES inventory (org_id, part_id, warehouse_id),
    CONSTRAINT stock_lots_are_there CHECK (on_hand_milli BETWEEN 0 AND 1000000000000),
    CONSTRAINT stock_lots_serial_is_one CHECK (NOT is_serial OR on_hand_milli IN (0, 1000))
);
-- A serial is in one place at most.
CREATE UNIQUE INDEX stock_lots_serial_place ON stock_lots (org_id, part_id, lot)
    WHERE is_serial AND on_hand_milli > 0;
CREATE INDEX stock_lots_newest ON stock_lots (org_id, is_in_stock, created_at DESC, id DESC);
CREATE INDEX stock_lots_of_part
    ON stock_lots (org_id, part_id, is_in_stock, created_at DESC, id DESC);
CREATE INDEX stock_lots_of_warehouse
    ON stock_lots (org_id, warehouse_id, is_in_stock, created_at DESC, id DESC);
CREATE INDEX stock_lots_of_lot ON stock_lots (org_id, lot, created_at DESC, id DESC);
CREATE INDEX stock_lots_expiring ON stock_lots (org_id, expires_on)
    WHERE is_in_stock AND expires_on IS NOT NULL;

-- Changes what is on hand of some lots or serials at a level, by as much each. The rules say the same
-- before (`operations/stock.py`); here nobody gets around them.
CREATE FUNCTION move_stock_lots(
    movement stock_movements, at_warehouse uuid, lots text[], each_milli bigint
) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    wanted constant text := CASE WHEN movement.lot IS NULL THEN 'serial' ELSE 'lot' END;
    changed bigint;
BEGIN
    UPDATE inventory SET lots_milli = lots_milli + each_milli * cardinality(lots)
     WHERE org_id = movement.org_id AND part_id = movement.part_id
       AND warehouse_id = at_warehouse AND tracking = wanted;
    IF NOT FOUND THEN
        RAISE 'the part is not tracked by %', wanted
            USING ERRCODE = 'check_violation', CONSTRAINT = 'stock_movements_tracking';
    END IF;
    IF each_milli >= 0 THEN
        INSERT INTO stock_lots AS kept (org_id, id, part_id, warehouse_id, lot, is_serial,
                                        expires_on, on_hand_milli, created_at, updated_at)
        SELECT movement.org_id, gen_random_uuid(), movement.part_id, at_warehouse, one,
               wanted = 'serial',
               -- What is transferred keeps its day.
               coalesce(movement.expires_on, (
                   SELECT source.expires_on FROM stock_lots AS source
                    WHERE source.org_id = movement.org_id AND source.part_id = movement.part_id
                      AND source.warehouse_id = movement.warehouse_id AND source.lot = one)),
               each_milli, movement.created_at, movement.created_at
          FROM unnest(lots) AS one ORDER BY one
        ON CONFLICT (org_id, part_id, lot, warehouse_id) DO UPDATE
           SET on_hand_milli = kept.on_hand_milli + excluded.on_hand_milli,
               is_serial = excluded.is_serial,
               expires_on = coalesce(excluded.expires_on, kept.expires_on),
               updated_at = excluded.updated_at;
    ELSE
        UPDATE stock_lots
           SET on_hand_milli = on_hand_milli + each_milli, updated_at = movement.created_at
         WHERE org_id = movement.org_id AND part_id = movement.part_id
           AND warehouse_id = at_warehouse AND lot = ANY (lots)
           AND is_serial = (wanted = 'serial');
        GET DIAGNOSTICS changed = ROW_COUNT;
        IF changed <> cardinality(lots) THEN
            RAISE 'a % that goes out is not in stock', wanted
                USING ERRCODE = 'check_violation', CONSTRAINT = 'stock_lots_are_there';
        END IF;
    END IF;
END
$$;

CREATE FUNCTION keep_stock_lots() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    lots constant text[] := coalesce(NEW.serials, ARRAY[NEW.lot]);
    each_milli constant bigint := NEW.on_hand_change_milli / cardinality(lots);
BEGIN
    PERFORM move_stock_lots(NEW, NEW.warehouse_id, lots, each_milli);
    IF NEW.to_warehouse_id IS NOT NULL THEN
        PERFORM move_stock_lots(NEW, NEW.to_warehouse_id, lots, -each_milli);
    END IF;
    INSERT INTO stock_movement_serials (org_id, serial, movement_id)
    SELECT NEW.org_id, one, NEW.id FROM unnest(NEW.serials) AS one;
    RETURN NULL;
END
$$;
CREATE TRIGGER lots AFTER INSERT ON stock_movements FOR EACH ROW
    WHEN (NEW.lot IS NOT NULL OR NEW.serials IS NOT NULL) EXECUTE FUNCTION keep_stock_lots();

-- What is on hand of a tracked part is what its lots add up to, as of each COMMIT.
CREATE FUNCTION check_stock_lots() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    -- Whoever acts for another organization by now does not get around it: no row agrees then.
    IF NOT EXISTS (SELECT FROM inventory WHERE org_id = NEW.org_id AND id = NEW.id
                      AND (tracking = 'none' OR lots_milli = on_hand_milli)) THEN
        RAISE 'the lots do not add up to what is on hand'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'inventory_lots_add_up';
    END IF;
    RETURN NULL;
END
$$;
CREATE CONSTRAINT TRIGGER lots_add_up AFTER INSERT OR UPDATE ON inventory
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
    WHEN (NEW.tracking <> 'none' AND NEW.lots_milli <> NEW.on_hand_milli)
    EXECUTE FUNCTION check_stock_lots();

CREATE FUNCTION refuse_tracking() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    RAISE 'the part is in stock'
        USING ERRCODE = 'check_violation', CONSTRAINT = 'inventory_tracking_stays';
END
$$;
CREATE TRIGGER tracking_stays BEFORE UPDATE ON inventory FOR EACH ROW
    WHEN (NEW.tracking <> OLD.tracking AND OLD.on_hand_milli <> 0)
    EXECUTE FUNCTION refuse_tracking();

REVOKE EXECUTE ON FUNCTION move_stock_lots, keep_stock_lots, check_stock_lots, refuse_tracking
    FROM PUBLIC;

-- Row-level security and rights ---------------------------------------------------------------

DO $$
DECLARE
    tenant_table text;
BEGIN
    FOREACH tenant_table IN ARRAY ARRAY['stock_lots', 'stock_movement_serials']
    LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', tenant_table);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', tenant_table);
        EXECUTE format('CREATE POLICY tenant ON %I USING (org_id = (SELECT current_org_id()))',
                       tenant_table);
    END LOOP;
END
$$;

GRANT SELECT ON stock_lots, stock_movement_serials TO opsc_app;
-- All columns but `lots_milli`, which only the trigger writes.
REVOKE INSERT, UPDATE ON inventory FROM opsc_app;
GRANT INSERT (org_id, id, part_id, warehouse_id, tracking, on_hand_milli, reserved_milli,
              average_microcents, reorder_point_milli, reorder_quantity_milli, moved_on,
              moved_times, created_at, updated_at),
      UPDATE (on_hand_milli, reserved_milli, average_microcents, reorder_point_milli,
              reorder_quantity_milli, moved_on, moved_times, updated_at)
   ON inventory TO opsc_app;
