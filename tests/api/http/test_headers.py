"""Headers of requests, read by the letter of RFC 9110."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import Headers

from api.http.etags import MAX_TAGS_CHARACTERS
from api.http.headers import (
    ByteSpan,
    EntityTag,
    authorization,
    byte_span,
    entity_tags,
    liked_language,
    media_type,
    preferred,
    weights,
)
from api.openapi.components import IF_MATCH, IF_NONE_MATCH

_TAGS = st.builds(
    EntityTag,
    st.text(st.characters(codec="latin-1", categories=["L", "N", "P", "S"]))
    .filter(lambda text: '"' not in text)
    .map('"{}"'.format),
    st.booleans(),
)
_BLANKS = st.text(" \t", max_size=2)


@pytest.mark.parametrize(
    ("header", "found"),
    [
        ("", {"": 1}),
        ("gzip", {"gzip": 1}),
        ("GZIP;Q=0.5", {"gzip": 0.5}),
        ("br ; q=0.25 , *;q=0", {"br": 0.25, "*": 0}),
        ("text/html;level=1;q=0.5", {"text/html": 0.5}),
        ("a;q=0.2, a;q=0.7, a;q=0.1", {"a": 0.7}),
        ("a;q=x, b;q=2, c;q=-1, d;q=nan, e;q=", {"a": 0, "b": 1, "c": 0, "d": 0, "e": 0}),
    ],
)
def test_names_are_accepted_with_their_weights(header: str, found: dict[str, float]) -> None:
    assert weights(header) == found


@given(st.text(st.sampled_from("aB/*;, q=0.19-nif")))
def test_a_weight_is_never_beyond_0_and_1(header: str) -> None:
    assert all(0 <= weight <= 1 for weight in weights(header).values())


def test_names_behind_the_first_twenty_do_not_count() -> None:
    assert list(weights(",".join(map(str, range(1000))))) == list(map(str, range(20)))


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        ("", "application/json"),
        ("*/*", "application/json"),
        ("application/*", "application/json"),
        ("application/pdf", "application/pdf"),
        ("*/*, application/pdf;q=0.1", "application/json"),
        ("*/*;q=0.1, application/pdf", "application/pdf"),
        ("application/json;q=0, */*", "application/pdf"),
        ("text/html", "application/json"),
    ],
)
def test_the_most_exact_range_weighs_a_type(accept: str, chosen: str) -> None:
    assert preferred(accept, ["application/json", "application/pdf"]) == chosen


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("", "en"),
        ("*", "en"),
        ("fr-CH, fr", "en"),
        ("de", "de"),
        ("DE-ch, en;q=0.9", "de"),
        ("fr, en;q=0.3, de-AT;q=0.7, de;q=0.1", "de"),
        ("de;q=0.5, en;q=0.5", "en"),
        ("de;q=0", "en"),
        ("den, dex-CH", "en"),
    ],
)
def test_the_language_of_ours_that_weighs_most_is_liked(header: str, language: str) -> None:
    assert liked_language(Headers({"Accept-Language": header})) == language


@given(st.lists(st.tuples(_BLANKS, _TAGS, _BLANKS), min_size=1))
def test_a_list_of_tags_is_read_as_it_was_written(listed: list[tuple[str, EntityTag, str]]) -> None:
    written = ",".join(
        before + ("W/" if tag.is_weak else "") + tag.text + after for before, tag, after in listed
    )
    assert entity_tags(written) == [tag for _, tag, _ in listed]


@pytest.mark.parametrize(
    "header", ["x", '"x', 'x"', '"a" "b"', '"a"; x', 'w/"a"', 'W/ "a"', '"a b"', "*", " ", ',"a"']
)
def test_a_list_with_a_fault_has_no_tags(header: str) -> None:
    assert entity_tags(header) is None


def test_the_document_tells_how_long_a_list_of_tags_may_be() -> None:
    for parameter in (IF_MATCH, IF_NONE_MATCH):
        assert parameter["schema"]["maxLength"] == MAX_TAGS_CHARACTERS


@pytest.mark.parametrize(
    ("header", "span"),
    [
        ("bytes=0-0", ByteSpan(0, 1)),
        ("bytes=2-", ByteSpan(2, 10)),
        ("bytes=2-99", ByteSpan(2, 10)),
        ("bytes=-3", ByteSpan(7, 10)),
        ("bytes=-99", ByteSpan(0, 10)),
        ("bytes=-0", ByteSpan(10, 10)),
        ("bytes=10-", ByteSpan(10, 10)),
        ("bytes=3-1", None),
        ("bytes=0-1,3-4", None),
        ("bytes=-", None),
        ("bytes=" + "9" * 19 + "-", None),
        ("lines=1-2", None),
        ("", None),
    ],
)
def test_a_range_is_cut_to_the_file(header: str, span: ByteSpan | None) -> None:
    assert byte_span(header, 10) == span


@given(st.integers(0, 20), st.integers(0, 20), st.integers(0, 15))
def test_a_span_has_the_bytes_from_first_to_last(first: int, last: int, size: int) -> None:
    span = byte_span(f"bytes={first}-{last}", size)
    asked = [place for place in range(size) if first <= place <= last]
    assert (span is None) == (last < first)
    assert span is None or list(range(span.begin, span.end)) == asked


@pytest.mark.parametrize(
    ("header", "found"),
    [
        ("application/json", "application/json"),
        (" Application/JSON ; charset=utf-8", "application/json"),
        ("", ""),
    ],
)
def test_a_media_type_is_read_without_its_parameters(header: str, found: str) -> None:
    assert media_type(Headers({"Content-Type": header})) == found
    assert media_type(Headers({})) == ""


@pytest.mark.parametrize(
    ("header", "found"),
    [
        ("Bearer abc", ("bearer", "abc")),
        ("BASIC  dXNlcjo= ", ("basic", "dXNlcjo=")),
        ("Bearer", ("bearer", "")),
        ("", ("", "")),
    ],
)
def test_credentials_stand_behind_their_scheme(header: str, found: tuple[str, str]) -> None:
    assert authorization(Headers({"Authorization": header})) == found
