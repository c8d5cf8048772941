"""Kinds agree with the tables that they name."""

import psycopg

from db.resources.kinds import KINDS, kind_of_table
from tests.servers import DatabaseUnderTest

COLUMNS = """
SELECT table_name, bool_or(column_name = 'deleted_at') FROM information_schema.columns
 WHERE table_schema = 'public' GROUP BY table_name
"""


def test_each_kind_has_a_prefix_and_a_table_of_its_own() -> None:
    for of_kind in (lambda kind: kind.prefix, lambda kind: kind.table or kind.name):
        values = [of_kind(kind) for kind in KINDS.values()]
        assert len(set(values)) == len(values)
    assert all(name == kind.name for name, kind in KINDS.items())
    assert kind_of_table("clients") is KINDS["client"]


def test_soft_deleted_kinds_are_those_whose_tables_have_deleted_at(
    database: DatabaseUnderTest,
) -> None:
    with psycopg.connect(database.url("admin")) as conn:
        soft = dict(conn.execute(COLUMNS).fetchall())
    named = {kind.table: kind.is_soft_deleted for kind in KINDS.values() if kind.table is not None}
    assert len(named) > 5
    assert {table: soft[table] for table in named} == named
