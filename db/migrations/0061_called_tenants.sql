-- The organization of a transaction is set by CALL, and no longer by set_config().
--
-- `db/bootstrap.sql` takes set_config() away from the API's role. What is smuggled into one of its
-- statements runs inside that statement, and CALL, like SET, is a statement of its own. PostgreSQL
-- takes one statement at a time in the protocol that the API speaks.

-- Makes an organization the tenant of the running transaction, and notes the author of its changes.
CREATE PROCEDURE act_for(of_org uuid, actor text)
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM set_config('app.org_id', of_org::text, true), set_config('app.actor', actor, true);
END
$$;

-- Makes an organization the tenant of the running transaction, which only reads.
CREATE PROCEDURE read_for(of_org uuid)
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM set_config('app.org_id', of_org::text, true),
            set_config('transaction_read_only', 'on', true);
END
$$;

-- Sets one of our settings that choose nothing, until the transaction ends: how many rows a table may
-- have (`count_row`), and that the transaction changes zones (`db/core/registry_revision.py`).
CREATE FUNCTION say(setting text, value text) RETURNS text
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF starts_with(setting, 'app.quota_') OR setting = 'app.is_changing' THEN
        RETURN set_config(setting, value, true);
    END IF;
    RAISE insufficient_privilege USING MESSAGE = format('%s is not set by say()', setting);
END
$$;

REVOKE EXECUTE ON PROCEDURE act_for, read_for FROM PUBLIC;
REVOKE EXECUTE ON FUNCTION say FROM PUBLIC;
GRANT EXECUTE ON PROCEDURE act_for, read_for TO opsc_app, opsc_ingest, opsc_listen, opsc_deliver;
GRANT EXECUTE ON FUNCTION say TO opsc_app, opsc_ingest, opsc_listen, opsc_deliver;
