-- Rules of work orders, quotes, inspections, timesheets, stock and files are held by the application
-- alone, which has locked the rows: each stood here a second time (decision 35). What stays is what
-- concurrency could break between rows: keys, uniqueness, exclusion, levels that are the sums of
-- movements, lots that add up to a level, and the rights of each role.

DROP FUNCTION
    -- work orders
    check_work_order_state, check_order_transition, keep_fixed_order, check_list_of_order,
    check_last_assignee, check_new_assignee, check_new_asset_of_order, check_assets_of_order,
    check_things_of_order, check_order_origin, check_order_tree, check_released, check_planned_part,
    refuse_move_of_reserved, keep_files_of_fixed_order,
    -- what is in use
    refuse_deletion_in_orders, refuse_deletion_in_stock, refuse_deletion_of_owner,
    check_client_is_there, check_site_is_there,
    -- stock
    check_part_unit, refuse_serials_of_fractions, check_returned_lots, check_counted_lot,
    -- quotes
    check_quote_state, check_quote_content, check_quote_document, check_quote_evidence,
    check_quote_sums,
    -- inspections
    keep_submitted_inspection, check_correction, check_template_version, check_inspection_photo,
    check_submitted_inspection,
    -- timesheets
    check_timesheet_move, check_adjustment,
    -- several
    check_state_move, check_number_is_taken, check_file_is_new, refuse_row
    CASCADE;

ALTER TABLE work_order_transitions DROP CONSTRAINT work_order_transitions_way;
DROP FUNCTION is_way_of_order, sums_of_quote, id_text, check_acting_for;

DO $$
DECLARE
    recorded text;
BEGIN
    FOREACH recorded IN ARRAY ARRAY[
        'attachments', 'inspection_forms', 'inspection_template_versions', 'quotes',
        'stock_movements', 'timesheet_adjustments', 'work_order_comments',
        'work_order_transitions', 'work_orders']
    LOOP
        EXECUTE format('DROP POLICY dated ON %I', recorded);
    END LOOP;
END
$$;

-- A movement changes the level, whatever the rules of movements are (`operations/stock.py`); what the
-- level cannot be is refused by its own checks.
CREATE OR REPLACE FUNCTION keep_stock_levels() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    moved_day constant date := (NEW.created_at AT TIME ZONE 'UTC')::date;
    times constant integer := greatest(cardinality(NEW.serials), 1);  -- each serial counts
    place uuid := NEW.warehouse_id;
    on_hand bigint := NEW.on_hand_change_milli;
    reserved bigint := NEW.reserved_change_milli;
BEGIN
    LOOP
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
           AND level.warehouse_id = place AND level.last_movement < NEW.number;
        IF NOT FOUND THEN
            RAISE check_violation USING CONSTRAINT = 'stock_movements_level',
                MESSAGE = 'a movement has a level, and the next number there';
        END IF;
        EXIT WHEN NEW.to_warehouse_id IS NULL OR place = NEW.to_warehouse_id;
        place := NEW.to_warehouse_id;
        on_hand := -on_hand;
        reserved := 0;
    END LOOP;
    IF NEW.work_order_id IS NOT NULL THEN
        PERFORM keep_order_part(NEW);
    END IF;
    RETURN NULL;
END
$$;

-- The same for what a work order has of a part (`operations/work_orders/parts.py`).
CREATE OR REPLACE FUNCTION keep_order_part(movement stock_movements) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    quantity constant bigint := movement.quantity_milli;
BEGIN
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
