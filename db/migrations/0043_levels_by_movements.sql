-- Movements alone change levels: a trigger keeps what is on hand, reserved and used, and what it
-- costs. The application can write none of that. And the geofence of a site while work goes on there.

-- The ledger -------------------------------------------------------------------------------------

-- A kind says what it changes, and what has no change has no cost.
ALTER TABLE stock_movements
    ADD CONSTRAINT stock_movements_change CHECK (
        (on_hand_change_milli <> 0 OR unit_cost_microcents IS NULL)
        AND CASE kind
            WHEN 'reserve' THEN quantity_milli > 0 AND on_hand_change_milli = 0
                AND reserved_change_milli = quantity_milli
            WHEN 'release' THEN quantity_milli > 0 AND on_hand_change_milli = 0
                AND reserved_change_milli = -quantity_milli
            WHEN 'count' THEN quantity_milli >= 0 AND reserved_change_milli = 0
            WHEN 'adjust' THEN quantity_milli <> 0 AND on_hand_change_milli = quantity_milli
                AND reserved_change_milli = 0
            WHEN 'transfer' THEN quantity_milli > 0 AND on_hand_change_milli = -quantity_milli
                AND reserved_change_milli = 0
            WHEN 'issue' THEN quantity_milli > 0 AND on_hand_change_milli = -quantity_milli
                AND reserved_change_milli IN (0, -quantity_milli)
            WHEN 'consume' THEN quantity_milli > 0 AND on_hand_change_milli = -quantity_milli
                AND reserved_change_milli IN (0, -quantity_milli)
            ELSE quantity_milli > 0 AND on_hand_change_milli = quantity_milli
                AND reserved_change_milli = 0
            END),
    ADD CONSTRAINT stock_movements_of_order CHECK (
        work_order_id IS NULL OR kind IN ('reserve', 'release', 'consume', 'return'));

-- last_movement: the number of the last one that changed the level.
ALTER TABLE inventory ADD COLUMN last_movement bigint NOT NULL DEFAULT 0;

-- The average after more came in, rounded half to even (`operations/stock.py`).
CREATE FUNCTION moved_average(on_hand bigint, average bigint, more bigint, cost bigint)
    RETURNS bigint LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    total constant numeric := on_hand::numeric * average + more::numeric * cost;
    divisor constant numeric := on_hand + more;
    quotient constant numeric := div(total, divisor);
    twice_rest constant numeric := 2 * (total - quotient * divisor);
BEGIN
    RETURN quotient + (twice_rest > divisor
                       OR (twice_rest = divisor AND mod(quotient, 2) = 1))::integer;
END
$$;

-- Changes the level of a movement, and that where a transfer arrives. The rules say the same before
-- (`operations/stock.py`), and levels are locked then; here nobody gets around them.
CREATE FUNCTION keep_stock_levels() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    moved_day constant date := (NEW.created_at AT TIME ZONE 'UTC')::date;
    times constant integer := greatest(cardinality(NEW.serials), 1);  -- each serial counts
    place uuid := NEW.warehouse_id;
    on_hand bigint := NEW.on_hand_change_milli;
    reserved bigint := NEW.reserved_change_milli;
    left_milli bigint;
BEGIN
    LOOP
        IF on_hand > 0 THEN
            PERFORM FROM parts AS part, warehouses AS store
              WHERE part.org_id = NEW.org_id AND part.id = NEW.part_id AND part.deleted_at IS NULL
                AND store.org_id = NEW.org_id AND store.id = place AND store.deleted_at IS NULL
                FOR SHARE;
            IF NOT FOUND THEN
                RAISE check_violation USING CONSTRAINT = 'stock_movements_place',
                    MESSAGE = 'nothing comes in of a deleted part, or into a deleted warehouse';
            END IF;
        END IF;
        -- What goes out has the average as its cost, and so has what comes in but is not received.
        UPDATE inventory AS level
           SET on_hand_milli = level.on_hand_milli + on_hand,
               reserved_milli = level.reserved_milli + reserved,
               average_microcents = CASE
                   WHEN on_hand <= 0 OR NEW.unit_cost_microcents IS NULL
                       THEN level.average_microcents
                   WHEN level.average_microcents IS NULL OR level.on_hand_milli = 0
                       THEN NEW.unit_cost_microcents
                   ELSE moved_average(level.on_hand_milli, level.average_microcents, on_hand,
                                      NEW.unit_cost_microcents) END,
               last_movement = NEW.number,
               moved_on = moved_day,
               moved_times = times
                   + CASE WHEN level.moved_on = moved_day THEN level.moved_times ELSE 0 END,
               updated_at = NEW.created_at
         WHERE level.org_id = NEW.org_id AND level.part_id = NEW.part_id
           AND level.warehouse_id = place AND level.last_movement < NEW.number
           AND (on_hand = 0 OR NEW.kind = 'receive' OR place = NEW.to_warehouse_id
                OR level.average_microcents IS NOT DISTINCT FROM NEW.unit_cost_microcents
                OR (on_hand > 0 AND level.average_microcents IS NULL))
        RETURNING level.on_hand_milli INTO left_milli;
        IF NOT FOUND THEN
            RAISE check_violation USING CONSTRAINT = 'stock_movements_level',
                MESSAGE = 'a movement has a level, the next number there, and its average cost';
        END IF;
        EXIT WHEN NEW.to_warehouse_id IS NULL OR place = NEW.to_warehouse_id;
        place := NEW.to_warehouse_id;
        on_hand := -on_hand;
        reserved := 0;
    END LOOP;
    IF NEW.kind = 'count' AND NEW.lot IS NULL AND left_milli <> NEW.quantity_milli THEN
        RAISE check_violation USING CONSTRAINT = 'stock_movements_counted',
            MESSAGE = 'what is on hand becomes what is counted';
    END IF;
    IF NEW.work_order_id IS NOT NULL THEN
        PERFORM keep_order_part(NEW);
    ELSIF NEW.reserved_change_milli < 0 THEN
        PERFORM FROM inventory AS level
          WHERE level.org_id = NEW.org_id AND level.part_id = NEW.part_id
            AND level.warehouse_id = NEW.warehouse_id
            AND level.reserved_milli < (
                SELECT sum(held.reserved_milli) FROM work_order_parts AS held
                 WHERE held.org_id = NEW.org_id AND held.part_id = NEW.part_id
                   AND held.warehouse_id = NEW.warehouse_id AND held.reserved_milli > 0);
        IF FOUND THEN
            RAISE check_violation USING CONSTRAINT = 'stock_movements_held',
                MESSAGE = 'what is reserved for a work order is moved by that work order';
        END IF;
    END IF;
    RETURN NULL;
END
$$;

-- Changes what a work order has of a part (`operations/work_orders/parts.py`).
CREATE FUNCTION keep_order_part(movement stock_movements) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    quantity constant bigint := movement.quantity_milli;
BEGIN
    PERFORM FROM work_orders AS job
      WHERE job.org_id = movement.org_id AND job.id = movement.work_order_id
        AND (movement.kind = 'release' OR job.deleted_at IS NULL)
        AND CASE movement.kind
            WHEN 'release' THEN true
            WHEN 'reserve' THEN job.state IN ('created', 'assigned', 'started', 'on_hold')
            ELSE job.state IN ('assigned', 'started', 'on_hold', 'completed') END
        FOR SHARE;
    IF NOT FOUND THEN
        RAISE check_violation USING CONSTRAINT = 'stock_movements_order_state',
            MESSAGE = 'parts are reserved and used while the work order is to be done';
    END IF;
    UPDATE work_order_parts AS part
       SET reserved_milli = part.reserved_milli + movement.reserved_change_milli,
           used_milli = part.used_milli + CASE movement.kind
               WHEN 'consume' THEN quantity WHEN 'return' THEN -quantity ELSE 0 END,
           cost_cents = CASE movement.kind
               WHEN 'consume' THEN part.cost_cents + div(
                   2 * div(quantity::numeric * coalesce(movement.unit_cost_microcents, 0), 1000)
                   + 1000000, 2000000)
               WHEN 'return' THEN div(
                   2::numeric * part.cost_cents * (part.used_milli - quantity) + part.used_milli,
                   2 * part.used_milli)
               ELSE part.cost_cents END,
           updated_at = movement.created_at
     WHERE part.org_id = movement.org_id AND part.work_order_id = movement.work_order_id
       AND part.part_id = movement.part_id
       AND (movement.reserved_change_milli = 0 OR part.warehouse_id = movement.warehouse_id)
       AND (movement.kind <> 'return' OR part.used_milli >= quantity);
    IF NOT FOUND THEN
        RAISE check_violation USING CONSTRAINT = 'stock_movements_order_part',
            MESSAGE = 'the work order has no such part there, or has not used as much of it';
    END IF;
END
$$;

-- "levels" fires before "lots": triggers go by their names.
CREATE TRIGGER levels AFTER INSERT ON stock_movements FOR EACH ROW
    EXECUTE FUNCTION keep_stock_levels();

CREATE FUNCTION check_counted_lot() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    PERFORM FROM stock_lots
      WHERE org_id = NEW.org_id AND part_id = NEW.part_id AND warehouse_id = NEW.warehouse_id
        AND lot = NEW.lot AND on_hand_milli = NEW.quantity_milli;
    IF NOT FOUND THEN
        RAISE check_violation USING CONSTRAINT = 'stock_movements_counted',
            MESSAGE = 'what is on hand of the lot becomes what is counted';
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER lots_counted AFTER INSERT ON stock_movements FOR EACH ROW
    WHEN (NEW.kind = 'count' AND NEW.lot IS NOT NULL) EXECUTE FUNCTION check_counted_lot();

-- Parts, warehouses and work orders that others depend on -----------------------------------------

CREATE FUNCTION refuse_deletion_in_stock() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF TG_TABLE_NAME = 'parts' THEN
        PERFORM FROM inventory
          WHERE org_id = NEW.org_id AND part_id = NEW.id AND on_hand_milli > 0 LIMIT 1;
    ELSE
        PERFORM FROM inventory
          WHERE org_id = NEW.org_id AND warehouse_id = NEW.id AND on_hand_milli > 0 LIMIT 1;
    END IF;
    IF FOUND THEN
        RAISE check_violation USING CONSTRAINT = TG_TABLE_NAME || '_in_stock',
            MESSAGE = 'what is in stock is not deleted';
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER in_stock AFTER UPDATE OF deleted_at ON parts FOR EACH ROW
    WHEN (OLD.deleted_at IS NULL AND NEW.deleted_at IS NOT NULL)
    EXECUTE FUNCTION refuse_deletion_in_stock();
CREATE TRIGGER in_stock AFTER UPDATE OF deleted_at ON warehouses FOR EACH ROW
    WHEN (OLD.deleted_at IS NULL AND NEW.deleted_at IS NOT NULL)
    EXECUTE FUNCTION refuse_deletion_in_stock();

CREATE FUNCTION refuse_move_of_reserved() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    RAISE check_violation USING CONSTRAINT = 'work_order_parts_reserved_there',
        MESSAGE = 'what is reserved in a warehouse is released before another one is planned';
END
$$;
CREATE TRIGGER reserved_there BEFORE UPDATE OF warehouse_id ON work_order_parts FOR EACH ROW
    WHEN (OLD.reserved_milli > 0 AND NEW.warehouse_id IS DISTINCT FROM OLD.warehouse_id)
    EXECUTE FUNCTION refuse_move_of_reserved();

-- A work order that is over has nothing reserved, as of each COMMIT.
CREATE FUNCTION check_released() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    PERFORM FROM work_order_parts
      WHERE org_id = NEW.org_id AND work_order_id = NEW.id AND reserved_milli > 0;
    IF FOUND THEN
        RAISE check_violation USING CONSTRAINT = 'work_orders_released',
            MESSAGE = 'a work order that is over has no part reserved';
    END IF;
    RETURN NULL;
END
$$;
CREATE CONSTRAINT TRIGGER released AFTER UPDATE ON work_orders
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
    WHEN ((NEW.state <> OLD.state AND NEW.state IN ('closed', 'cancelled', 'cannot_complete'))
          OR (OLD.deleted_at IS NULL AND NEW.deleted_at IS NOT NULL))
    EXECUTE FUNCTION check_released();

-- Lots -------------------------------------------------------------------------------------------

-- As in `0040_stock_lots.sql`, but a lot keeps its day wherever it comes back to.
CREATE OR REPLACE FUNCTION move_stock_lots(
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
               coalesce(movement.expires_on, (
                   SELECT known.expires_on FROM stock_lots AS known
                    WHERE known.org_id = movement.org_id AND known.part_id = movement.part_id
                      AND known.lot = one AND known.is_serial = (wanted = 'serial')
                      AND known.expires_on IS NOT NULL
                    ORDER BY known.warehouse_id = movement.warehouse_id DESC,
                             known.updated_at DESC LIMIT 1)),
               each_milli, movement.created_at, movement.created_at
          FROM unnest(lots) AS one ORDER BY one
        ON CONFLICT (org_id, part_id, lot, warehouse_id) DO UPDATE
           SET on_hand_milli = kept.on_hand_milli + excluded.on_hand_milli,
               is_serial = excluded.is_serial,
               expires_on = CASE WHEN kept.is_serial = excluded.is_serial
                   THEN coalesce(excluded.expires_on, kept.expires_on)
                   ELSE excluded.expires_on END,
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

-- Machines on site -------------------------------------------------------------------------------

-- zone_id: the geofence of the site when work was started or resumed.
ALTER TABLE work_order_transitions
    ADD COLUMN zone_id uuid,
    ADD CONSTRAINT work_order_transitions_zone
        FOREIGN KEY (org_id, zone_id) REFERENCES zones (org_id, id);
CREATE INDEX work_order_transitions_of_zone ON work_order_transitions (org_id, zone_id)
    WHERE zone_id IS NOT NULL;

-- Before this was kept, the present geofence counts.
ALTER TABLE work_order_transitions NO FORCE ROW LEVEL SECURITY;
ALTER TABLE work_orders NO FORCE ROW LEVEL SECURITY;
ALTER TABLE sites NO FORCE ROW LEVEL SECURITY;
UPDATE work_order_transitions AS made SET zone_id = site.zone_id
  FROM work_orders AS job JOIN sites AS site
    ON site.org_id = job.org_id AND site.id = job.site_id
 WHERE made.verb IN ('start', 'resume') AND job.org_id = made.org_id
   AND job.id = made.work_order_id;
ALTER TABLE work_order_transitions FORCE ROW LEVEL SECURITY;
ALTER TABLE work_orders FORCE ROW LEVEL SECURITY;
ALTER TABLE sites FORCE ROW LEVEL SECURITY;

-- Rights -----------------------------------------------------------------------------------------

REVOKE EXECUTE ON FUNCTION moved_average, keep_stock_levels, keep_order_part, check_counted_lot,
    refuse_deletion_in_stock, refuse_move_of_reserved, check_released FROM PUBLIC;
REVOKE INSERT, UPDATE ON inventory, work_order_parts FROM opsc_app;
GRANT INSERT (org_id, id, part_id, warehouse_id, tracking, reorder_point_milli,
              reorder_quantity_milli, created_at, updated_at),
      UPDATE (reorder_point_milli, reorder_quantity_milli, updated_at)
   ON inventory TO opsc_app;
GRANT INSERT (org_id, id, work_order_id, part_id, warehouse_id, planned_milli, created_at,
              updated_at),
      UPDATE (warehouse_id, planned_milli, updated_at)
   ON work_order_parts TO opsc_app;
