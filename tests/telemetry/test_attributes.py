"""Attributes: any object that comes out is taken by PostgreSQL as jsonb, and means the same."""

import json
from datetime import UTC, datetime
from typing import Any

import msgspec
import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from telemetry.attributes import AttributesError, to_json, with_members
from telemetry.rejection import Reason
from tests.servers import DatabaseUnderTest

TREES = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(10**40), 10**40),
        st.floats(),
        st.text(max_size=12),
        st.text(alphabet='\\u0\x00"', max_size=12),
        st.binary(max_size=3),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=8,
)


def without_nul(tree: Any) -> Any:
    if isinstance(tree, str):
        return tree.replace("\0", "\N{REPLACEMENT CHARACTER}")
    if isinstance(tree, list):
        return [without_nul(child) for child in tree]
    if isinstance(tree, dict):
        return {without_nul(key): without_nul(value) for key, value in tree.items()}
    return tree


@given(st.dictionaries(st.text(max_size=4), TREES, max_size=4))
def test_only_nul_is_changed(attributes: dict[str, Any]) -> None:
    plain = json.loads(msgspec.json.encode(attributes))  # what JSON can say
    assert json.loads(to_json(attributes)) == without_nul(plain)


@given(attributes=st.dictionaries(st.text(max_size=4), TREES, max_size=4))
@settings(
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_postgresql_takes_it_as_jsonb(
    attributes: dict[str, Any], connection: psycopg.Connection
) -> None:
    text = to_json(attributes)
    stored = connection.execute("SELECT (%s::jsonb)::text", [text.decode()]).fetchone()
    assert stored is not None
    assert json.loads(stored[0], parse_int=float) == json.loads(text, parse_int=float)


@pytest.fixture
def connection(database: DatabaseUnderTest):
    with psycopg.connect(database.url("opsc_app"), autocommit=True) as connection:
        yield connection


@pytest.mark.parametrize(
    ("attributes", "text"),
    [
        ({}, b"{}"),
        ({"a": b"\x00\xff"}, b'{"a":"AP8="}'),
        ({"a": float("nan"), "b": float("inf")}, b'{"a":null,"b":null}'),
        ({"a": datetime(2026, 1, 31, 12, tzinfo=UTC)}, b'{"a":"2026-01-31T12:00:00Z"}'),
        ({"a": {1: 2}}, b'{"a":{"1":2}}'),
    ],
)
def test_what_only_messagepack_can_say(attributes: dict[str, Any], text: bytes) -> None:
    assert to_json(attributes) == text


@pytest.mark.parametrize(
    "attributes", [{"a": msgspec.msgpack.Ext(5, b"x")}, {"a": {(1, 2): 3}}, {"a": {None: 1}}]
)
def test_what_json_has_no_form_for_is_refused(attributes: dict[str, Any]) -> None:
    with pytest.raises(AttributesError) as error:
        to_json(attributes)
    assert error.value.reason is Reason.UNDECODABLE


@pytest.mark.parametrize(
    ("text", "result"),
    [
        (None, {"battery_pct": 250}),
        (b"{}", {"battery_pct": 250}),
        (b'{"a":1}', {"a": 1, "battery_pct": 250}),
        (b'{"battery_pct":"full"}', {"battery_pct": "full"}),
    ],
)
def test_a_member_is_added_where_there_is_none(text: bytes | None, result: dict[str, Any]) -> None:
    assert json.loads(with_members(text, {"battery_pct": 250})) == result
