"""What a plan has: API and webhooks or not, a number of requests a minute over all processes."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any

import pytest

from api.http.problems import Problem
from api.limits.plans import check_api_access
from db.requests.request_usage import Count
from db.resources.plans import Plan
from tests.api.problems import is_problem
from tests.api.running import PASSWORD, Answer, Client, Organization, RunningApi, running_api
from tests.api.waiting import until_let_in, until_refused
from tests.servers import DatabaseUnderTest

HOOK = {"url": "https://example.com/", "types": ["*"]}
STRANGERS = 40


@pytest.fixture(scope="module")
def api(database: DatabaseUnderTest) -> Iterator[RunningApi]:
    """One process."""
    with running_api(database) as running:
        yield running


@pytest.fixture(scope="module")
def second(api: RunningApi, database: DatabaseUnderTest) -> Iterator[RunningApi]:
    """Another process of the same installation."""
    key = api.settings.secret_key.get_secret_value()
    with running_api(
        database, secret_key=key, api_address_requests_per_minute=STRANGERS
    ) as running:
        yield running


def with_plan(
    api: RunningApi, plan: str, *, addon: bool = False, org: Organization | None = None
) -> Organization:
    """Return an organization, a new one unless it is given."""
    org = org or api.organization("Acme")
    api.sql(
        "UPDATE organizations SET plan = %s, api_addon = %s WHERE org_id = %s",
        plan,
        addon,
        org.org_id,
    )
    return org


def at(api: RunningApi, client: Client) -> Client:
    """Return the same caller at another process."""
    return Client(api.url, client.token)


class Dashboard(Client):
    """A browser with a session."""

    headers: Mapping[str, str]

    async def send(
        self, method: str, path: str, headers: Mapping[str, str] | None = None, **options: Any
    ) -> Answer:
        return await super().send(method, path, {**self.headers, **(headers or {})}, **options)


async def signed_in(api: RunningApi, org: Organization) -> Dashboard:
    body = {"email": org.email, "password": PASSWORD, "organization_id": org.id}
    answer = await api.anonymous.post("/v1/auth/session", body)
    browser = Dashboard(api.url, None)
    cookie = answer.headers["Set-Cookie"].partition(";")[0]
    browser.headers = {"Cookie": cookie, "X-CSRF-Token": answer.json["csrf_token"]}
    return browser


def is_plan_required(answer: Answer) -> bool:
    named = (answer.json.get("needed_plan"), answer.json.get("needed_addon"))
    return is_problem(answer, 403, "plan_required") and named == ("unlimited", "api")


async def ask(clients: list[Client], times: int, at_once: int = 20) -> list[Answer]:
    """Send this many requests, by the clients in turn."""
    turns = itertools.cycle(clients)
    answers: list[Answer] = []
    while len(answers) < times:
        some = [next(turns) for _ in range(min(at_once, times - len(answers)))]
        answers += await asyncio.gather(*(one.get("/v1/organization") for one in some))
    return answers


async def until_rate_limited(send: Callable[[], Awaitable[Answer]]) -> Answer:
    """Return the first refused answer: on a slow machine some more are let in meanwhile."""
    while (answer := await send()).status != 429:
        pass
    assert is_problem(answer, 429, "rate_limited")
    return answer


@pytest.mark.parametrize("plan", ["starter", "team"])
async def test_programs_need_the_plan_unlimited_or_the_add_on(api: RunningApi, plan: str) -> None:
    without, has = with_plan(api, plan), with_plan(api, plan, addon=True)
    asked = [("GET", "/v1/assets"), ("POST", "/v1/zones"), ("PATCH", "/v1/organization")]
    for method, path in asked:
        refused = await without.admin.send(method, path, json={"name": 1})
        assert is_plan_required(refused), path
        assert plan in refused.json["detail"]
        assert (await has.admin.send(method, path, json={"name": 1})).status != 403, path


@pytest.mark.parametrize("contact", [None, "office@operator.example"])
def test_whose_plan_is_too_small_is_told_whom_to_ask(contact: str | None) -> None:
    with pytest.raises(Problem) as refused:
        check_api_access(Plan("team", api_addon=False, api_access=False), contact)
    assert refused.value.more.get("contact") == contact
    assert ("Ask office@operator.example." in str(refused.value.detail)) is (contact is not None)


async def test_a_key_of_a_plan_without_the_api_is_refused_and_the_dashboard_is_not(
    api: RunningApi,
) -> None:
    org = api.organization("Acme")
    made = await org.admin.post("/v1/api-keys", {"name": "ERP"})
    key = Client(api.url, made.json["secret"])
    assert (await key.get("/v1/assets")).status == 200
    with_plan(api, "starter", org=org)
    assert is_plan_required(await until_refused(key, 403))
    dashboard = await signed_in(api, org)
    assert (await dashboard.get("/v1/assets")).status == 200
    assert (await dashboard.post("/v1/assets", {"name": "Truck"})).status == 201


async def test_the_dashboard_is_not_counted_and_has_a_limit_of_each_user(
    database: DatabaseUnderTest,
) -> None:
    with running_api(database, api_user_requests_per_minute=30) as api:
        org = with_plan(api, "starter", addon=True)
        dashboard = await signed_in(api, org)
        answers = await ask([dashboard], 30)
        assert {answer.status for answer in answers} == {200}
        assert answers[0].headers["RateLimit-Policy"] == '"user";q=30;w=60'
        await until_rate_limited(lambda: dashboard.get("/v1/organization"))
        seen = await org.viewer.get("/v1/organization")
        assert seen.headers["RateLimit"].startswith('"organization";r=999;')


async def test_the_organization_and_its_usage_are_never_gated(api: RunningApi) -> None:
    org = with_plan(api, "starter")
    for path in ("/v1/organization", "/v1/organization/usage"):
        seen = await org.viewer.get(path)
        assert seen.status == 200
        about = {name: seen.json[name] for name in ("plan", "api_addon", "api_access")}
        assert about == {"plan": "starter", "api_addon": False, "api_access": False}
        assert seen.json["requests_per_minute"] == 1000


async def test_a_change_of_plan_is_heeded_within_seconds(api: RunningApi) -> None:
    org = with_plan(api, "starter")
    assert is_plan_required(await org.admin.get("/v1/assets"))
    with_plan(api, "starter", addon=True, org=org)

    await until_let_in(org.admin)
    with_plan(api, "team", org=org)
    assert is_plan_required(await until_refused(org.admin, 403))


async def test_the_1001st_request_of_a_minute_is_refused_over_two_processes(
    api: RunningApi, second: RunningApi
) -> None:
    org = with_plan(api, "starter", addon=True)
    both = [org.viewer, at(second, org.viewer)]
    let_in = sum(answer.status == 200 for answer in await ask(both, 1000))
    assert let_in >= 1000 - 1000 // 16  # the rest is reserved by one of them
    for client in both:
        while (refused := await client.get("/v1/organization")).status == 200:
            let_in += 1
        assert is_problem(refused, 429, "rate_limited")
        assert 1 <= int(refused.headers["Retry-After"]) <= 60
        assert refused.headers["RateLimit"].startswith('"organization";r=0;t=')
    assert let_in == 1000


async def test_many_at_once_are_counted_as_well(api: RunningApi, second: RunningApi) -> None:
    org = with_plan(api, "starter", addon=True)
    busy = [org.viewer] * 4 + [at(second, org.viewer)]
    answers = await ask(busy, 1200, at_once=100)
    assert sum(answer.status == 200 for answer in answers) == 1000
    assert {answer.status for answer in answers} == {200, 429}


async def test_answers_tell_how_much_is_left(api: RunningApi) -> None:
    org = with_plan(api, "team", addon=True)
    first, then = [await org.viewer.get("/v1/assets") for _ in range(2)]
    assert first.headers["RateLimit-Policy"] == '"organization";q=5000;w=60'
    assert first.headers["RateLimit"] == '"organization";r=4999;t=60'
    assert then.headers["RateLimit"].startswith('"organization";r=4998;t=')
    wrong = await org.viewer.get("/v1/assets", nonsense=1)
    assert (wrong.status, "RateLimit" in wrong.headers) == (400, True)


async def test_the_plan_unlimited_has_no_limit_and_no_headers_of_one(api: RunningApi) -> None:
    org = with_plan(api, "unlimited")
    answers = await ask([org.viewer], 1100, at_once=50)
    assert {answer.status for answer in answers} == {200}
    assert not any("RateLimit" in answer.headers for answer in answers)


async def test_strangers_are_slowed_down_by_their_address_and_others_are_not(
    api: RunningApi, second: RunningApi
) -> None:
    org = with_plan(api, "unlimited")
    bad = Client(second.url, "not a token")
    statuses = [(await bad.get("/v1/assets")).status for _ in range(STRANGERS)]
    assert set(statuses) == {401}
    refused = await until_rate_limited(lambda: bad.get("/v1/assets"))
    assert int(refused.headers["Retry-After"]) >= 1
    body = {"email": org.email, "password": PASSWORD, "organization_id": org.id}
    assert (await second.anonymous.post("/v1/auth/token", body)).status == 200
    await until_rate_limited(lambda: second.anonymous.get("/.well-known/jwks.json"))
    assert (await second.anonymous.post("/v1/auth/token", body)).status == 200
    await until_rate_limited(lambda: second.anonymous.post("/v1/auth/token", {}))
    assert (await at(second, org.viewer).get("/v1/assets")).status == 200
    elsewhere = await bad.get("/v1/assets", headers={"X-Forwarded-For": "203.0.113.1"})
    assert elsewhere.status == 401


async def test_a_webhook_endpoint_needs_the_plan_in_the_dashboard_too(api: RunningApi) -> None:
    org = with_plan(api, "team", addon=True)
    dashboard = await signed_in(api, org)
    made = await dashboard.post("/v1/webhook-endpoints", HOOK)
    assert made.status == 201
    path = f"/v1/webhook-endpoints/{made.json['id']}"
    assert (await dashboard.patch(path, {"state": "disabled"})).status == 200
    with_plan(api, "team", org=org)
    await until_refused(org.admin, 403)
    assert is_plan_required(await dashboard.post("/v1/webhook-endpoints", HOOK))
    assert is_plan_required(await dashboard.patch(path, {"state": "active"}))
    assert is_plan_required(await dashboard.post(f"{path}/test", {"type": "stock.low"}))
    assert (await dashboard.delete(path)).status == 204
    assert is_plan_required(await dashboard.send("POST", f"{path}/restore"))


async def test_usage_is_counted_by_the_hour_and_the_day(
    database: DatabaseUnderTest, api: RunningApi
) -> None:
    """What a process counted is stored when it ends, at the latest."""
    org = with_plan(api, "starter", addon=True)
    with running_api(database, secret_key=api.settings.secret_key.get_secret_value()) as other:
        client = at(other, org.viewer)
        assert (await ask([client], 7))[-1].status == 200
        running = (await client.get("/v1/organization/usage")).json["minute"]
        assert 8 <= running["requests"] <= 24  # some are reserved
        assert running["requests"] + running["remaining"] == 1000
        api.sql("UPDATE request_minutes SET taken = 1000 WHERE org_id = %s", org.org_id)
        answers = await ask([client], 60)
    refused = sum(answer.status == 429 for answer in answers)
    assert refused > 0
    let_in = 7 + 1 + len(answers) - refused
    api.sql("DELETE FROM request_minutes WHERE org_id = %s", org.org_id)
    for step, periods in (("hour", 24), ("day", 30)):
        seen = (await org.viewer.get("/v1/organization/usage", step=step)).json
        assert (seen["step"], len(seen["data"])) == (step, periods)
        starts = [period["start"] for period in seen["data"]]
        assert starts == sorted(starts)
        counted = [Count(period["requests"], period["refused"]) for period in seen["data"]]
        assert sum(count.requests for count in counted) == let_in
        assert sum(count.refused for count in counted) == refused


async def test_usage_of_a_window_has_every_period_that_begins_in_it(api: RunningApi) -> None:
    org = with_plan(api, "unlimited")
    api.sql(
        "INSERT INTO request_usage VALUES (%s, '2026-01-01T05:00Z', 5, 1),"
        " (%s, '2026-01-02T23:00Z', 7, 0)",
        org.org_id,
        org.org_id,
    )
    window = {"from_": "2026-01-01T00:00:00Z", "to": "2026-01-03T00:00:00Z"}
    days = (await org.viewer.get("/v1/organization/usage", step="day", **window)).json["data"]
    assert days == [
        {"start": "2026-01-01T00:00:00Z", "requests": 5, "refused": 1},
        {"start": "2026-01-02T00:00:00Z", "requests": 7, "refused": 0},
    ]
    hours = (await org.viewer.get("/v1/organization/usage", **window)).json["data"]
    assert len(hours) == 48
    assert hours[5] == {"start": "2026-01-01T05:00:00Z", "requests": 5, "refused": 1}
    assert hours[6] == {"start": "2026-01-01T06:00:00Z", "requests": 0, "refused": 0}


@pytest.mark.parametrize(
    "asked",
    [
        {"step": "week"},
        {"from_": "yesterday"},
    ],
)
async def test_a_window_that_cannot_be_is_a_400(api: RunningApi, asked: dict[str, Any]) -> None:
    org = with_plan(api, "unlimited")
    answer = await org.viewer.get("/v1/organization/usage", **asked)
    assert is_problem(answer, 400, "invalid_parameter")


@pytest.mark.parametrize("step", ["hour", "day"])
async def test_of_a_long_window_the_latest_periods_are_shown(api: RunningApi, step: str) -> None:
    org = with_plan(api, "unlimited")
    window = {"from_": "0001-01-01T00:00:00Z", "to": "2026-01-03T00:00:00Z"}
    seen = (await org.viewer.get("/v1/organization/usage", step=step, **window)).json["data"]
    assert len(seen) == 1000
    assert seen[-1]["start"] == f"2026-01-02T{'23' if step == 'hour' else '00'}:00:00Z"


@pytest.mark.parametrize("to", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"])
async def test_a_window_far_away_is_empty_or_ends_now(api: RunningApi, to: str) -> None:
    org = with_plan(api, "unlimited")
    assert (await org.viewer.get("/v1/organization/usage", to=to)).status == 200


async def test_nobody_sees_the_usage_of_another_organization(api: RunningApi) -> None:
    one, other = with_plan(api, "starter", addon=True), with_plan(api, "starter", addon=True)
    api.sql("INSERT INTO request_usage VALUES (%s, date_trunc('hour', now()), 99, 9)", one.org_id)
    await ask([one.viewer], 30)
    seen = (await other.viewer.get("/v1/organization/usage")).json
    assert sum(period["requests"] for period in seen["data"]) == 0
    assert seen["minute"]["requests"] <= 2
