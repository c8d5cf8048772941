-- The places for open WebSockets and event streams that each process of the API holds, so that the
-- limit of an organization holds over all processes. One row of a process, since it is written anew
-- every other second. Unlogged: after a crash of the server the next round of each process writes
-- its row again.
CREATE UNLOGGED TABLE live_slots (
    process_id uuid PRIMARY KEY,
    seen_at timestamptz NOT NULL,
    org_ids uuid[] NOT NULL,
    slots integer[] NOT NULL CHECK (cardinality(slots) = cardinality(org_ids))
);

-- Writes the places that a process holds. For an organization that wants more there are one, and an
-- eighth of what is left, over all processes whose rows are not older than `dead_after_s`: the last
-- ones go one by one, so that few lie about unused. One process at a time, until it commits.
CREATE FUNCTION share_live_slots(
    of_process uuid, of_orgs uuid[], held integer[], wanting uuid, most integer,
    dead_after_s double precision) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    at timestamptz;
    place integer := array_position(of_orgs, wanting);
    free bigint;
BEGIN
    PERFORM pg_advisory_xact_lock(117922818, 1);  -- any numbers that are ours alone
    at := clock_timestamp();
    DELETE FROM public.live_slots AS other
     WHERE other.seen_at NOT BETWEEN at - make_interval(secs => dead_after_s) AND at
       AND other.process_id <> of_process;
    IF place IS NOT NULL THEN
        SELECT most - held[place] - coalesce(
                   sum(other.slots[array_position(other.org_ids, wanting)]), 0)
          INTO free
          FROM public.live_slots AS other WHERE other.process_id <> of_process;
        IF free > 0 THEN
            held[place] := held[place] + least(1 + free / 8, free);
        END IF;
    END IF;
    IF cardinality(of_orgs) = 0 THEN
        DELETE FROM public.live_slots AS own WHERE own.process_id = of_process;
    ELSE
        INSERT INTO public.live_slots AS own (process_id, seen_at, org_ids, slots)
        VALUES (of_process, at, of_orgs, held)
            ON CONFLICT (process_id) DO UPDATE
           SET seen_at = excluded.seen_at, org_ids = excluded.org_ids, slots = excluded.slots;
    END IF;
    RETURN coalesce(held[place], 0);
END
$$;
REVOKE ALL ON live_slots FROM PUBLIC;
REVOKE EXECUTE ON FUNCTION share_live_slots FROM PUBLIC;
GRANT EXECUTE ON FUNCTION share_live_slots TO opsc_app;
