"""Paths, keys and what becomes of a request's query."""

import base64
import re
from pathlib import Path

import pytest

from listener.http.doors import DOORS, Credentials, credentials_of, payload_of, place_of
from listener.http.requests import Request

KEY = Credentials("trk_1", b"a-b_c.d")
PAGE = (Path(__file__).parents[3] / "docs" / "devices.md").read_text()


def test_the_page_has_every_door_with_its_answer() -> None:
    rows = [line for line in PAGE.splitlines() if line.startswith("| `/v1/ingest/")]
    written = {
        name: row.rstrip("| ").rpartition("| ")[2].strip("`")
        for row in rows
        for name in re.findall(r"`/v1/ingest/(\w+)/\{key\}`", row)
    }
    assert written == {name: door.answer.decode() or "none" for name, door in DOORS.items()}


@pytest.mark.parametrize("name", DOORS)
@pytest.mark.parametrize(
    ("rest", "credentials"),
    [
        ("", None),
        ("/", None),
        ("/trk_1.a-b_c.d", KEY),
        ("/trk_1.a-b_c.d/", KEY),
        ("/trk%5F1.a%2Db_c.d", KEY),
        ("/trk_1", Credentials("trk_1", b"")),
    ],
)
def test_a_path_says_the_door_and_the_key(
    name: str, rest: str, credentials: Credentials | None
) -> None:
    place = place_of(f"/v1/ingest/{name}{rest}")
    assert place is not None
    assert place == (name, DOORS[name], credentials)


@pytest.mark.parametrize(
    "path", ["/", "*", "/v1/ingest/", "/v1/ingest/other", "/v1/ingest/fixes/a/b", "/v1/zones"]
)
def test_other_paths_lead_nowhere(path: str) -> None:
    assert place_of(path) is None


def basic(text: bytes) -> str:
    return f"Basic {base64.b64encode(text).decode()}"


@pytest.mark.parametrize(
    ("header", "credentials"),
    [
        (basic(b"trk_1:a-b_c.d"), KEY),
        (basic(b"trk_1:a:b"), Credentials("trk_1", b"a:b")),
        ("bearer  trk_1.a-b_c.d ", KEY),
        (basic(b"trk_1"), None),
        (basic(b"\xff:x"), None),
        ("Basic ?", None),
        ("Basic", None),
        ("Digest x", None),
        ("", None),
    ],
)
def test_a_header_says_the_key(header: str, credentials: Credentials | None) -> None:
    assert credentials_of(header) == credentials


def sent(query: bytes = b"", body: bytes = b"") -> Request:
    return Request("POST", "/", query, {}, body, 0, True)


@pytest.mark.parametrize(
    ("request_", "payload"),
    [
        (sent(b"lat=1&lon=2"), b"lat=1&lon=2&timestamp=7"),
        (sent(b"lat=1&lon=2&timestamp=5"), b"lat=1&lon=2&timestamp=5"),
        (sent(b"lat=1&lon=2&time=5"), b"lat=1&lon=2&time=5"),
        (sent(b"x=1", b"lat=1&lon=2"), b"lat=1&lon=2&timestamp=7"),
        (sent(b"", b' {"location": {}}'), b' {"location": {}}'),
        (sent(), b""),
    ],
)
def test_a_query_without_a_time_gets_that_of_its_receipt(request_: Request, payload: bytes) -> None:
    assert payload_of(DOORS["osmand"], request_, 7) == payload


def test_other_doors_take_the_body_alone() -> None:
    assert payload_of(DOORS["fixes"], sent(b"lat=1", b"{}"), 7) == b"{}"
