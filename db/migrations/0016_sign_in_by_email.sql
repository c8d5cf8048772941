-- Who signs in need not know the id of the organization where the address says it alone.

CREATE INDEX users_email ON users (email);

-- The organization in which somebody with this address can sign in; null where there is none, or
-- more than one. A user who was only invited does not count, so that an invitation of another
-- organization changes nothing for anybody.
CREATE FUNCTION org_of_email(address text) RETURNS uuid
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT CASE WHEN count(*) = 1 THEN (array_agg(u.org_id))[1] END
      FROM public.users u
     WHERE u.email = address AND u.password_hash IS NOT NULL AND u.deactivated_at IS NULL;
END;

REVOKE EXECUTE ON FUNCTION org_of_email FROM PUBLIC;
GRANT EXECUTE ON FUNCTION org_of_email TO opsc_app;
