"""Whatever arrives: no exception, an answer for each message, neighbours unaffected."""

from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from telemetry.formats.decode import Format
from tests.telemetry.payloads import CASES, assert_independent, decode_one, described, outcome

NOON_MS = 1769860800000

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**64 - 1),
    st.floats(),
    st.text(max_size=8),
    st.binary(max_size=4),
    st.sampled_from(["2026-01-31T12:00:00Z", NOON_MS, 1, 91.0, 2**31, -1, "\x00"]),
)
trees = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=6,
)
fix_keys = ["time", "lat", "lon", "seq", "altitude_m", "course_deg", "satellites", "ignition"]
keys = st.sampled_from([*fix_keys, "attributes", "other", "\x00"])
nearly_fixes = st.builds(
    lambda base, odd: base | odd,
    st.fixed_dictionaries({"time": st.just(NOON_MS), "lat": st.just(1.0), "lon": st.just(2)}),
    st.dictionaries(keys, trees, max_size=3),
)
documents = st.one_of(
    nearly_fixes, st.lists(st.one_of(nearly_fixes, trees), min_size=1, max_size=4), trees
)


def mutated(payload: bytes) -> st.SearchStrategy[bytes]:
    """Return `payload` with one stretch cut out and something put in its place."""
    places = st.integers(0, len(payload))
    return st.builds(
        lambda a, b, filling: payload[: min(a, b)] + filling + payload[max(a, b) :],
        places,
        places,
        st.binary(max_size=3),
    )


payloads = st.one_of(
    st.binary(max_size=80),
    st.sampled_from([case.payload for case in CASES]).flatmap(mutated),
    documents.map(msgspec.msgpack.encode),
    documents.map(msgspec.json.encode),
)


def test_all_cases_in_one_call_give_what_each_gives_alone() -> None:
    assert_independent([(case.payload, case.format) for case in CASES])


def test_more_fixes_than_a_flush_holds_keep_their_places() -> None:
    cases = [case for case in CASES if case.format is Format.NATIVE] * 20
    assert_independent([(case.payload, case.format) for case in cases])


@given(st.lists(st.tuples(payloads, st.sampled_from(Format)), max_size=6))
def test_any_bytes_are_answered(messages: list[tuple[bytes, Format]]) -> None:
    assert_independent(messages)


@given(documents)
def test_json_and_messagepack_of_one_shape_agree(document: object) -> None:
    plain = msgspec.json.decode(msgspec.json.encode(document))  # what JSON can say
    if not isinstance(plain, list | dict):
        return
    as_json = decode_one(msgspec.json.encode(plain))
    as_msgpack = decode_one(msgspec.msgpack.encode(plain))
    assert outcome(as_json) == outcome(as_msgpack)


sound_fixes = st.fixed_dictionaries(
    {
        "time": st.one_of(
            st.integers(946684800000, 1900000000000), st.just("2026-01-31T12:00:00.5Z")
        ),
        "lat": st.floats(-90, 90),
        "lon": st.floats(-180, 180).filter(lambda lon: lon != 0),
    },
    optional={
        "seq": st.integers(0, 2**31 - 1),
        "altitude_m": st.one_of(
            st.floats(allow_nan=False, allow_infinity=False), st.integers(-(2**63), 2**63)
        ),
        "speed_mps": st.floats(-10, 1e6),
        "course_deg": st.integers(-10, 400),
        "battery_pct": st.integers(-1, 300),
        "satellites": st.integers(0, 255),
        "ignition": st.booleans(),
        "attributes": st.dictionaries(st.text(max_size=3), st.integers(0, 9), max_size=2),
    },
)


@given(st.lists(sound_fixes, min_size=1, max_size=5))
def test_the_careful_way_reads_what_the_straight_way_reads(fixes: list[dict[str, Any]]) -> None:
    straight = decode_one(msgspec.json.encode(fixes))
    careful = decode_one(msgspec.json.encode([*fixes, None]))  # a bad fix forces it
    assert straight.rejections == []
    assert described(careful.batch) == described(straight.batch)
