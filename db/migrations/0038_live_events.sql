-- Readers of events as they happen, and the filters of events.

-- The newest seq of several organizations at once, for the live feed of an API process: ids in,
-- numbers out. What an organization's events say is read under row-level security as ever.
CREATE FUNCTION event_seqs(of_orgs uuid[]) RETURNS TABLE (org_id uuid, event_seq bigint)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT o.org_id, o.event_seq FROM public.organizations o WHERE o.org_id = ANY (of_orgs);
END;

-- Whether open connections of programs may stay: asked for all organizations of a process at once.
CREATE FUNCTION api_access_of(of_orgs uuid[]) RETURNS TABLE (org_id uuid, api_access boolean)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT o.org_id, o.api_access FROM public.organizations o WHERE o.org_id = ANY (of_orgs);
END;
REVOKE EXECUTE ON FUNCTION event_seqs, api_access_of FROM PUBLIC;
GRANT EXECUTE ON FUNCTION event_seqs, api_access_of TO opsc_app;

-- The things that an event is about, by the ids in its data: assets, zones, employees and work
-- orders. The sequencer writes them with the seq, so ingest writes no more than before. An id has
-- its kind as its prefix.
CREATE TABLE event_subjects (
    org_id uuid NOT NULL,
    subject text COLLATE "C" NOT NULL CHECK (length(subject) BETWEEN 1 AND 40),
    seq bigint NOT NULL,
    PRIMARY KEY (org_id, subject, seq)
);
ALTER TABLE event_subjects ENABLE ROW LEVEL SECURITY;
ALTER TABLE event_subjects FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON event_subjects USING (org_id = (SELECT current_org_id()));

-- Without SET, so that the planner can put its body into the statement that calls it. It takes any
-- JSON: the sequencer must not stop at a field of another form.
CREATE FUNCTION subjects_of_event(data json) RETURNS SETOF text LANGUAGE sql IMMUTABLE AS $$
    SELECT DISTINCT named.subject
      FROM pg_catalog.json_to_record(
               CASE WHEN pg_catalog.json_typeof(data) = 'object' THEN data ELSE '{}' END) AS fields (
           asset_id text, machine_id text, zone_id text, employee_id text, work_order_id text,
           asset_ids json, assignee_ids json)
     CROSS JOIN LATERAL (
           SELECT pg_catalog.unnest(ARRAY[fields.asset_id, fields.machine_id, fields.zone_id,
                                          fields.employee_id, fields.work_order_id])
           UNION ALL
           SELECT pg_catalog.json_array_elements_text(fields.asset_ids)
            WHERE pg_catalog.json_typeof(fields.asset_ids) = 'array'
           UNION ALL
           SELECT pg_catalog.json_array_elements_text(fields.assignee_ids)
            WHERE pg_catalog.json_typeof(fields.assignee_ids) = 'array') AS named (subject)
     WHERE pg_catalog.length(named.subject) BETWEEN 1 AND 40
$$;
REVOKE EXECUTE ON FUNCTION subjects_of_event FROM PUBLIC;
GRANT EXECUTE ON FUNCTION subjects_of_event TO opsc_deliver;

INSERT INTO event_subjects (org_id, subject, seq)
SELECT event.org_id, named.subject, event.seq
  FROM events AS event CROSS JOIN LATERAL subjects_of_event(event.data) AS named (subject)
 WHERE event.seq IS NOT NULL;

-- Partial, as `events_by_seq` is: an event that is written costs them nothing.
CREATE INDEX events_by_type ON events (org_id, type, seq) WHERE seq IS NOT NULL;
CREATE INDEX events_by_time ON events (org_id, occurred_at) WHERE seq IS NOT NULL;

GRANT SELECT ON event_subjects TO opsc_app;
GRANT SELECT, INSERT, DELETE ON event_subjects TO opsc_deliver;
