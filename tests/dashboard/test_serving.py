"""The documents and files of the web application, as the API serves them."""

import re

import aiohttp
import brotli
import pytest
import yarl

from api.resources import dashboard
from tests.api.problems import is_problem
from tests.api.running import RunningApi

_PAGE = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
_NONCE = re.compile(r'nonce="([^"]+)"')


async def test_every_page_is_one_document_with_a_nonce_of_its_own(api: RunningApi) -> None:
    nonces: set[str] = set()
    async with aiohttp.ClientSession(headers=_PAGE) as session:
        for place in ("", "keys", "zones/zon_01", "quotes"):
            async with session.get(f"{api.url}/app/{place}") as answer:
                assert answer.content_type == "text/html"
                assert answer.headers["Cache-Control"] == "no-store"
                (nonce,) = _NONCE.findall(await answer.text())
                policy = answer.headers["Content-Security-Policy"]
                assert f"style-src 'self' 'nonce-{nonce}'" in policy
                assert policy.startswith("default-src 'none'; script-src 'self';")
                nonces.add(nonce)
    assert len(nonces) == 4


@pytest.mark.parametrize(
    "place", ["app/static/", "app/static/none.js", "app/static/%2e%2e%2findex.html"]
)
async def test_a_file_that_is_not_there_is_no_page(api: RunningApi, place: str) -> None:
    url = yarl.URL(f"{api.url}/{place}", encoded=True)
    async with aiohttp.ClientSession(headers=_PAGE) as session, session.get(url) as answer:
        assert answer.status == 404


async def test_a_program_gets_no_page(api: RunningApi) -> None:
    for place in ("/app/", "/app/keys"):
        answer = await api.anonymous.get(place, headers={"accept": "application/json"})
        assert is_problem(answer, 404, "not_found")
    answer = await api.anonymous.get(
        "/app/", headers={"accept": "*/*"}
    )  # curl, and what looks whether we are up
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("text/html")
    front = await api.anonymous.get("/")
    assert front.json["documentation"] == "/docs"


@pytest.mark.parametrize(
    ("place", "leads_to"),
    [
        ("/", "/app/"),
        ("/app", "/app/"),
        ("/app?q=a+b&asset=1", "/app/?q=a+b&asset=1"),
        ("/invitation", "/app/invitation"),
        ("/password-reset", "/app/password-reset"),
    ],
)
async def test_places_of_people_lead_into_it(api: RunningApi, place: str, leads_to: str) -> None:
    async with (
        aiohttp.ClientSession(headers=_PAGE) as session,
        session.get(f"{api.url}{place}", allow_redirects=False) as answer,
    ):
        assert (answer.status, answer.headers["Location"]) == (307, leads_to)


async def test_files_are_compressed_already_and_never_change(api: RunningApi) -> None:
    name = next(path.name for path in (dashboard.BUILT / "static").glob("index-*.js"))
    plain = (dashboard.BUILT / "static" / name).read_bytes()
    url = f"{api.url}/app/static/{name}"
    async with aiohttp.ClientSession(auto_decompress=False) as session:
        for coding, decoded in (("br", brotli.decompress), ("identity", bytes)):
            async with session.get(url, headers={"Accept-Encoding": coding}) as answer:
                assert answer.status == 200
                assert answer.content_type == "text/javascript"
                assert "immutable" in answer.headers["Cache-Control"]
                assert answer.headers.get("Content-Encoding", "identity") == coding
                assert decoded(await answer.read()) == plain


@pytest.mark.parametrize("place", ["/nothing", "/apps", "/static/x.js", "/v1/nothing"])
async def test_unknown_places_elsewhere_are_problems(api: RunningApi, place: str) -> None:
    async with (
        aiohttp.ClientSession(headers=_PAGE) as session,
        session.get(f"{api.url}{place}") as answer,
    ):
        assert answer.status == 404
        assert answer.content_type == "application/problem+json"
