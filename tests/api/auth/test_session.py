"""The dashboard's session: a cookie, and what other sites cannot do with it."""

from collections.abc import Iterator
from http.cookies import Morsel, SimpleCookie
from typing import Any, NamedTuple

import pytest

from tests.api.running import PASSWORD, Answer, Client, Organization, RunningApi, running_api
from tests.servers import DatabaseUnderTest

pytestmark = pytest.mark.own_api

SESSION = "/v1/auth/session"


class _Browser(Client):
    """A browser that sends the cookie, and whatever else is said."""

    def __init__(self, url: str, cookie: str, csrf_token: str | None) -> None:
        super().__init__(url, None)
        self.cookie = cookie
        self.headers = {"Cookie": cookie}
        self.csrf = {} if csrf_token is None else {"X-CSRF-Token": csrf_token}

    async def send(self, method: str, path: str, headers: Any = None, **options: Any) -> Answer:
        every = {**self.headers, **self.csrf, **(headers or {})}
        return await super().send(method, path, headers=every, **options)


class _SignedIn(NamedTuple):
    browser: _Browser
    morsel: Morsel[str]
    item: dict[str, Any]


async def _signed_in(api: RunningApi, org: Organization, **headers: str) -> _SignedIn:
    body = {"email": org.email, "password": PASSWORD, "organization_id": org.id}
    answer = await api.anonymous.send("POST", SESSION, json=body, headers=headers)
    assert answer.status == 201, answer.json
    cookie = SimpleCookie(answer.headers["Set-Cookie"])
    ((name, morsel),) = cookie.items()
    browser = _Browser(api.url, f"{name}={morsel.value}", answer.json["csrf_token"])
    return _SignedIn(browser, morsel, answer.json)


async def test_a_session_reads_and_writes(api: RunningApi, north: Organization) -> None:
    browser, morsel, item = await _signed_in(api, north)
    assert (morsel["httponly"], morsel["samesite"].lower(), morsel["path"]) == (True, "strict", "/")
    assert (item["organization_id"], item["role"]) == (north.id, "admin")
    assert (await browser.get(SESSION)).json == item
    assert (await browser.get("/v1/assets")).status == 200
    assert (await browser.post("/v1/assets", {"name": "By session"})).status == 201


async def test_a_session_says_how_pages_are_shown_to_the_user(
    api: RunningApi, org: Organization
) -> None:
    browser, _, item = await _signed_in(api, org)
    names = ("language", "units", "clock", "timezone")
    assert [item[name] for name in names] == [None] * 4
    await org.admin.patch("/v1/organization", {"language": "de"})
    assert (await browser.get(SESSION)).json["language"] == "de"
    chosen = {"language": "en", "units": "imperial", "clock": "24", "timezone": "Asia/Tokyo"}
    assert (await browser.patch("/v1/users/me", chosen)).status == 200
    for seen in ((await browser.get(SESSION)).json, (await _signed_in(api, org)).item):
        assert {name: seen[name] for name in names} == chosen


async def test_a_wrong_password_sets_no_cookie(api: RunningApi, north: Organization) -> None:
    body = {"email": north.email, "password": "wrong", "organization_id": north.id}
    answer = await api.anonymous.post(SESSION, body)
    assert answer.status == 401
    assert "Set-Cookie" not in answer.headers


@pytest.mark.parametrize("method", ["POST", "PATCH", "DELETE"])
@pytest.mark.parametrize("token", [None, "", "wrong"])
async def test_what_changes_something_needs_the_sessions_own_csrf_token(
    api: RunningApi, north: Organization, method: str, token: str | None
) -> None:
    signed_in = (await _signed_in(api, north)).browser
    browser = _Browser(api.url, signed_in.cookie, token)
    asset = "/v1/assets" if method == "POST" else "/v1/zones/zon_" + "0" * 26
    answer = await browser.send(method, asset, json={"name": "No"})
    assert (answer.status, answer.json["code"]) == (403, "csrf_failed")
    assert (await browser.get("/v1/assets")).status == 200


async def test_the_csrf_token_of_another_session_is_none(
    api: RunningApi, north: Organization
) -> None:
    ours, theirs = await _signed_in(api, north), await _signed_in(api, north)
    mixed = _Browser(api.url, ours.browser.cookie, theirs.item["csrf_token"])
    assert (await mixed.post("/v1/assets", {"name": "No"})).json["code"] == "csrf_failed"


FOREIGN = [
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Sec-Fetch-Site": "none"},
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Origin": "http://[evil"},
]


@pytest.mark.parametrize("headers", FOREIGN)
async def test_another_site_cannot_write_even_with_the_token(
    api: RunningApi, north: Organization, headers: dict[str, str]
) -> None:
    browser = (await _signed_in(api, north)).browser
    answer = await browser.send("POST", "/v1/assets", headers=headers, json={"name": "No"})
    assert (answer.status, answer.json["code"]) == (403, "csrf_failed")


@pytest.mark.parametrize("headers", FOREIGN)
async def test_another_site_cannot_sign_a_browser_in(
    api: RunningApi, north: Organization, headers: dict[str, str]
) -> None:
    body = {"email": north.email, "password": PASSWORD, "organization_id": north.id}
    answer = await api.anonymous.send("POST", SESSION, json=body, headers=headers)
    assert answer.status == 403
    assert "Set-Cookie" not in answer.headers


async def test_ones_own_pages_may_write(api: RunningApi, north: Organization) -> None:
    browser = (await _signed_in(api, north, Origin=api.url)).browser
    for headers in ({"Origin": api.url}, {"Sec-Fetch-Site": "same-origin", "Origin": api.url}):
        answer = await browser.send("POST", "/v1/assets", headers=headers, json={"name": "Yes"})
        assert answer.status == 201


@pytest.mark.parametrize("header", ["Bearer garbage", "", "Basic YTpi", "Bearer opsk_garbage"])
async def test_a_cookie_counts_for_nothing_beside_an_authorization_header(
    api: RunningApi, north: Organization, header: str
) -> None:
    browser = (await _signed_in(api, north)).browser
    answer = await browser.get("/v1/assets", headers={"Authorization": header})
    assert answer.status == 401


async def test_a_token_needs_no_csrf_token_whatever_cookies_come_with_it(
    api: RunningApi, north: Organization
) -> None:
    cookie = (await _signed_in(api, north)).browser.cookie
    answer = await north.dispatcher.send(
        "POST", "/v1/assets", headers={"Cookie": cookie}, json={"name": "By token"}
    )
    assert answer.status == 201


async def test_a_session_is_no_token_and_a_token_is_no_session(
    api: RunningApi, north: Organization
) -> None:
    signed_in = await _signed_in(api, north)
    assert (await Client(api.url, signed_in.morsel.value).get("/v1/assets")).status == 401
    key = (await north.admin.post("/v1/api-keys", {"name": "x"})).json["secret"]
    for secret in (north.admin.token, key):
        as_cookie = _Browser(api.url, f"opsc_session={secret}", None)
        assert (await as_cookie.get("/v1/assets")).status == 401
    assert (await north.admin.get(SESSION)).status == 401


async def test_signing_out_ends_the_session(api: RunningApi, north: Organization) -> None:
    browser = (await _signed_in(api, north)).browser
    answer = await browser.delete(SESSION)
    assert answer.status == 204
    ((_, morsel),) = SimpleCookie(answer.headers["Set-Cookie"]).items()
    assert (morsel.value, morsel["max-age"]) == ("", "0")
    assert (await browser.get("/v1/assets")).status == 401  # at once in the process that ended it


async def test_signing_out_everywhere_ends_sessions_too(
    api: RunningApi, north: Organization
) -> None:
    first, second = await _signed_in(api, north), await _signed_in(api, north)
    key = (await north.admin.post("/v1/api-keys", {"name": "x"})).json["secret"]
    answer = await Client(api.url, key).post("/v1/users/me/sign-out", None)
    assert answer.status == 204
    for each in (first, second):
        assert (await each.browser.get("/v1/assets")).status == 401


@pytest.mark.parametrize(
    "change", ["last_used_at = now() - interval '13 hours'", "expires_at = now()"]
)
async def test_a_session_ends_when_it_is_not_used_and_at_its_end(
    api: RunningApi, south: Organization, change: str
) -> None:
    browser = (await _signed_in(api, south)).browser
    api.sql(f"UPDATE sign_ins SET {change} WHERE kind = 'session' AND org_id = %s", south.org_id)
    assert (await browser.get("/v1/assets")).status == 401


@pytest.fixture(scope="module")
def behind_tls(database: DatabaseUnderTest) -> Iterator[RunningApi]:
    """An API whose users come by https."""
    with running_api(database, public_url="https://ops.example.com") as running:
        yield running


async def test_behind_tls_the_cookie_is_secure_and_of_this_host_alone(
    behind_tls: RunningApi,
) -> None:
    org = behind_tls.organization("Acme")
    browser, morsel, _ = await _signed_in(behind_tls, org)
    assert morsel.key == "__Host-opsc_session"
    assert (morsel["secure"], morsel["path"], morsel["domain"]) == (True, "/", "")
    assert (await browser.get("/v1/assets")).status == 200
    unmarked = _Browser(behind_tls.url, f"opsc_session={morsel.value}", None)
    assert (await unmarked.get("/v1/assets")).status == 401
