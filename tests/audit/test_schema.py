"""The schema as others look at it: pgrls, and what it does not look at: keys."""

from pathlib import Path

import psycopg

from tests.clients.make import TOOLS, run_python
from tests.servers import DatabaseUnderTest

# Unique without the organization, because nobody can choose the value to be that of another one.
# But for one:
GLOBALLY_UNIQUE = {
    # random ids that we give, and numbers
    "archived_days_object_id_key",
    "failing_work_pkey",
    "gateways_id_key",
    "trackers_id_key",
    "tracker_encryption_keys_tracker_id_key",
    "gps_events_identity",
    "fix_hours_changed_pkey",
    "visit_is_open_once",
    "inbox_pkey",
    "quarantine_pkey",
    # numbers of devices: who claims one that is claimed hears so, and not by whom
    "imei_claims_imei_key",
    # hashes of random secrets
    "api_keys_previous_hash_key",
    "api_keys_secret_hash_key",
    "refresh_tokens_token_hash_key",
    "sign_ins_secret_hash_key",
    "user_links_token_hash_key",
    "quote_links_token",
    # a hash over a topic, which has the id of a tracker or gateway
    "quarantine_digest_key",
}


def test_pgrls_finds_nothing_that_is_not_explained(database: DatabaseUnderTest) -> None:
    config = Path(__file__).with_name("pgrls.toml")
    url = database.url("admin")
    run_python(TOOLS / "pgrls", "lint", "--config", config, "--database-url", url)


def test_every_key_of_a_tenants_table_has_the_organization(database: DatabaseUnderTest) -> None:
    with psycopg.connect(database.url("admin")) as conn:
        rows = conn.execute(
            """
            SELECT index.relname
              FROM pg_index i
              JOIN pg_class index ON index.oid = i.indexrelid
              JOIN pg_attribute org ON org.attrelid = i.indrelid AND org.attname = 'org_id'
              JOIN pg_class t ON t.oid = i.indrelid
             WHERE i.indisunique AND t.relnamespace = 'public'::regnamespace
               AND NOT org.attnum = ANY (i.indkey::smallint[])
            UNION ALL
            SELECT c.conname
              FROM pg_constraint c
              JOIN pg_attribute org ON org.attrelid = c.conrelid AND org.attname = 'org_id'
              JOIN pg_attribute other ON other.attrelid = c.confrelid AND other.attname = 'org_id'
             WHERE c.contype = 'f' AND c.connamespace = 'public'::regnamespace
               AND NOT org.attnum = ANY (c.conkey)
            """
        ).fetchall()
    assert {name for (name,) in rows} == GLOBALLY_UNIQUE
