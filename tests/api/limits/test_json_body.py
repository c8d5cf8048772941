"""The JSON of bodies: what is refused, and why."""

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.http.problems import Problem
from api.limits.json_body import decode_json

MOST = 1_000
TEXTS = st.text(st.sampled_from('ab\\":,{}[]\n/\u00e9\U0001f600'), max_size=8)
VALUES = st.recursive(
    st.none() | st.integers(0, 9) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)


@given(value=VALUES, is_ascii=st.booleans(), indent=st.none() | st.integers(0, 2))
def test_what_is_json_is_read(value: object, is_ascii: bool, indent: int | None) -> None:
    written = json.dumps(value, ensure_ascii=is_ascii, indent=indent).encode()
    assert decode_json(written, MOST) == value


@given(value=VALUES, name=TEXTS)
def test_a_name_twice_is_found_whatever_is_beside_it(value: object, name: str) -> None:
    member = f"{json.dumps(name)}: {json.dumps(value)}"
    written = f"[{json.dumps(value)}, {{{member}, {member}}}]".encode()
    with pytest.raises(Problem, match="same name twice"):
        decode_json(written, MOST)


UNITS = ("\\ud83d", "\\ude00", "\\u00e9", "\\\\", "\\\\ud83d", '\\"', "u", "d83d")


@given(units=st.lists(st.sampled_from(UNITS), max_size=8))
def test_half_of_a_surrogate_pair_is_found_where_it_stands(units: list[str]) -> None:
    written = f'"{"".join(units)}"'
    # Escapes one by one; those of a pair together.
    escapes = re.finditer(r"\\[^u]|\\ud83d(?:\\ude00)?|\\ude00|\\u00e9", written)
    half = next((one.start() for one in escapes if one[0] in ("\\ud83d", "\\ude00")), None)
    if half is None:
        assert decode_json(written.encode(), MOST) == json.loads(written)
    else:
        with pytest.raises(Problem, match=f"the escape at byte {half} is half"):
            decode_json(written.encode(), MOST)
