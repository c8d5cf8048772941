-- Devices without a secret sign in by their IMEI alone. A tracker claims it, and one claim holds over all
-- organizations. first_fix_at: when the first fix came by it. confirmed_at: when fixes had come by it over 24 hours,
-- or the operator said so; NULL: the claim is provisional.
CREATE TABLE imei_claims (
    org_id uuid NOT NULL,
    tracker_id uuid NOT NULL,
    imei text COLLATE "C" NOT NULL UNIQUE CHECK (imei ~ '^[0-9]{15}$'),
    claimed_at timestamptz NOT NULL,
    first_fix_at timestamptz,
    confirmed_at timestamptz,
    PRIMARY KEY (org_id, tracker_id),
    FOREIGN KEY (org_id, tracker_id) REFERENCES trackers (org_id, id)
);
SELECT make_resource('imei_claims', audited_as => 'tracker', id_column => 'tracker_id');
CREATE POLICY listen ON imei_claims TO opsc_listen USING (true) WITH CHECK (true);
GRANT SELECT (org_id, tracker_id, imei, first_fix_at, confirmed_at),
    UPDATE (first_fix_at, confirmed_at) ON imei_claims TO opsc_listen;
GRANT SELECT, INSERT, DELETE ON imei_claims TO opsc_app;

-- For the operator: who was last refused an IMEI that another one has claimed.
CREATE TABLE refused_imei_claims (
    org_id uuid NOT NULL REFERENCES organizations,
    imei text COLLATE "C" NOT NULL CHECK (imei ~ '^[0-9]{15}$'),
    refused_at timestamptz NOT NULL,
    PRIMARY KEY (org_id, imei)
);
SELECT make_tenant_table('refused_imei_claims');
GRANT SELECT ON refused_imei_claims TO opsc_app;

-- The operator's commands and `refuses_imei` look at all organizations.
CREATE POLICY keep ON imei_claims TO opsc_owner USING (true) WITH CHECK (true);
CREATE POLICY keep ON refused_imei_claims TO opsc_owner USING (true) WITH CHECK (true);

-- Whether a tracker has claimed an IMEI. It remembers who was refused: of an organization the last 100 IMEIs.
CREATE FUNCTION refuses_imei(wanted text) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM public.imei_claims WHERE imei = wanted) THEN
        RETURN false;
    END IF;
    INSERT INTO public.refused_imei_claims (org_id, imei, refused_at) VALUES (public.current_org_id(), wanted, now())
    ON CONFLICT (org_id, imei) DO UPDATE SET refused_at = excluded.refused_at;
    DELETE FROM public.refused_imei_claims
     WHERE org_id = public.current_org_id() AND imei IN (
           SELECT older.imei FROM public.refused_imei_claims AS older WHERE older.org_id = public.current_org_id()
            ORDER BY older.refused_at DESC OFFSET 100);
    RETURN true;
END
$$;
REVOKE EXECUTE ON FUNCTION refuses_imei FROM PUBLIC;
GRANT EXECUTE ON FUNCTION refuses_imei TO opsc_app;

-- Claims that nothing was sent by end, and listeners are told by the revision.
GRANT SELECT, DELETE ON imei_claims TO opsc_deliver;
GRANT SELECT (revision), UPDATE (revision) ON trackers TO opsc_deliver;
GRANT SELECT, UPDATE ON zones_revision TO opsc_deliver;
