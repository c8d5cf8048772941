"""What is smuggled into a statement of the API stays within the organization of the transaction."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from uuid import UUID

import psycopg
import pytest
from psycopg.errors import (
    FeatureNotSupported,
    InsufficientPrivilege,
    SyntaxError,
    WrongObjectType,
)

from db.core.connect import Connection, Pool
from db.core.ids import new_id
from db.core.tenant import reading, tenant
from tests.servers import DatabaseUnderTest

Transaction = Callable[[Pool, UUID], AbstractAsyncContextManager[Connection]]
SMUGGLED = {
    "set_config": ("set_config('app.org_id', '{}', true)", InsufficientPrivilege),
    "set_config of the session": ("set_config('app.org_id', '{}', false)", InsufficientPrivilege),
    "set_config in a query of its own": (
        "query_to_xml($$SELECT set_config('app.org_id', '{}', true)$$, true, true, '')",
        InsufficientPrivilege,
    ),
    "SET": ("query_to_xml($$SET app.org_id = '{}'$$, true, true, '')", FeatureNotSupported),
    "CALL": ("query_to_xml($$CALL act_for('{}', '')$$, true, true, '')", FeatureNotSupported),
    "DO": ("query_to_xml($$DO 'BEGIN END' -- {}$$, true, true, '')", FeatureNotSupported),
    "the procedure": ("act_for('{}', '')", WrongObjectType),
    "the procedure to read": ("read_for('{}')", WrongObjectType),
    "say": ("say('app.org_id', '{}')", InsufficientPrivilege),
    "a second statement": ("1; CALL act_for('{}', '')", SyntaxError),
    "the settings": (
        "1 FROM organizations; UPDATE pg_settings SET setting = '{}' WHERE name = 'app.org_id'",
        SyntaxError,
    ),
    "another role": ("set_config('role', 'opsc_owner', true) -- {}", InsufficientPrivilege),
}


@pytest.mark.parametrize("begin", [tenant, reading])
@pytest.mark.parametrize(("smuggled", "refused"), SMUGGLED.values(), ids=SMUGGLED)
async def test_no_expression_chooses_the_organization(
    connections: Pool, org: UUID, begin: Transaction, smuggled: str, refused: type[psycopg.Error]
) -> None:
    with pytest.raises(refused):
        async with begin(connections, org) as conn:
            await conn.execute(f"SELECT {smuggled.format(new_id())}".encode())


async def test_nor_does_a_change_of_the_view_of_settings(connections: Pool, org: UUID) -> None:
    with pytest.raises(InsufficientPrivilege, match="set_config"):
        async with tenant(connections, org) as conn:
            await conn.execute("UPDATE pg_settings SET setting = 'x' WHERE name = 'TimeZone'")


def test_no_other_function_runs_statements_for_the_application(
    database: DatabaseUnderTest,
) -> None:
    found = database.run(
        "opsc_app",
        "SELECT proname FROM pg_proc JOIN pg_language AS language ON language.oid = prolang"
        " WHERE prokind = 'f' AND prorettype <> 'trigger'::regtype"
        "   AND has_function_privilege(pg_proc.oid, 'EXECUTE')"
        "   AND (lanname NOT IN ('internal', 'c')"
        "        AND prosrc ~* '\\mexecute\\M|\\mset_config\\M|\\mset\\s+(local|session)\\M'"
        "        OR prosrc = 'set_config_by_name')",
    )
    assert {name for (name,) in found} == {
        "say",
        # TimescaleDB's: they change tables of their caller, and a setting of its own.
        "chunk_constraint_add_table_constraint",
        "constraint_clone",
        "timescaledb_post_restore",
        "timescaledb_pre_restore",
    }


async def test_only_settings_that_choose_nothing_can_be_said(
    connections: Pool, org: UUID, database: DatabaseUnderTest
) -> None:
    async with tenant(connections, org) as conn:
        await conn.execute("SELECT say('app.quota_assets', '1'), say('app.is_changing', 'yes')")
    for setting in ("app.org_id", "app.actor", "APP.ORG_ID", "row_security"):
        with pytest.raises(InsufficientPrivilege):
            database.run("opsc_app", "SELECT say(%s, 'x')", (setting,))
