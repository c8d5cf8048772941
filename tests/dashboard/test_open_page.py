"""Changes under an open page (rights, plan, the API itself), and addresses of others' things."""

import asyncio
import json
import os
import signal
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import aiomqtt
import pytest
from playwright.async_api import Browser, Response, Route, expect
from playwright.async_api import Error as PlaywrightError

from stack.cli.organizations.org import create_with_admin
from stack.servers.runtime import StackInfo
from telemetry.times import format_time, to_us
from tests.api.belongings import one_of_everything
from tests.api.running import CLOCK, Client, Organization, RunningApi
from tests.dashboard.pages import Pages, pages_of
from tests.stack.command import Installation
from tests.waiting import PATIENCE_S, until

LAT, LON = 47.05, 8.31
STAYS = 15


async def test_a_role_that_is_taken_away(pages: Pages, org: Organization) -> None:
    pages.expected.append("403 (Forbidden)")
    is_live, may_look = asyncio.Event(), asyncio.Event()
    pages.context.on(
        "page",
        lambda page: page.on(
            "websocket", lambda socket: socket.on("framereceived", lambda _: is_live.set())
        ),
    )
    page = await pages.sign_in(org, "dispatcher@example.com", "trackers")
    await asyncio.wait_for(is_live.wait(), PATIENCE_S)  # else nothing is told of the change

    async def hold(route: Route) -> None:
        await may_look.wait()
        await route.continue_()

    await page.route("**/v1/auth/session", hold)  # else the form may be gone already
    me = (await org.dispatcher.get("/v1/users/me")).json["id"]
    assert (await org.admin.patch(f"/v1/users/{me}", {"role": "viewer"})).status == 200
    await expect(page.get_by_text("Your rights have changed.")).to_be_visible()
    CLOCK.let_pass(3)  # until the role is asked for again
    await page.get_by_label("Name of the machine").fill("Excavator")
    await page.get_by_role("button", name="Add the machine").click()
    await expect(page.get_by_text("Your role does not allow this.")).to_be_visible()
    may_look.set()
    await expect(page.get_by_role("button", name="Add the machine")).to_have_count(0)
    assert (await org.admin.get("/v1/assets")).json["data"] == []


async def test_a_plan_that_has_less(pages: Pages, api: RunningApi, org: Organization) -> None:
    pages.expected.append("403 (Forbidden)")
    page = await pages.sign_in(org, org.email, "trackers")
    await expect(page.get_by_text("There are no trackers yet")).to_be_visible()
    api.sql("INSERT INTO organization_quotas VALUES (%s, 'assets', 0)", org.org_id)
    CLOCK.let_pass(3)  # until the plan is asked for again
    await page.get_by_label("Name of the machine").fill("Excavator")
    await page.get_by_role("button", name="Add the machine").click()
    await expect(page.get_by_text("Your plan has no room for more.")).to_be_visible()
    await expect(page.get_by_label("Name of the machine")).to_have_value("Excavator")


# With what each of them reads last.
PLACES = {
    "?asset={ast}": "/v1/assets/positions",
    "history?asset={ast}": "/v1/zones/versions",
    "webhooks/{whe}": "/v1/webhook-endpoints/",
    "zones?zone={zon}": "/v1/zones",
    "alerts": "/v1/alerts",
}


async def test_the_ids_of_others_show_nothing(
    pages: Pages, api: RunningApi, org: Organization, south: Organization
) -> None:
    pages.expected.append("404 (Not Found)")
    ids = await one_of_everything(api, south, "Theirs")
    page = await pages.sign_in(org, org.email)
    answers: list[Response] = []
    page.on("response", lambda answer: answers.append(answer))
    for place, last in PLACES.items():
        async with page.expect_response(f"{pages.url}{last}**"):
            await page.goto(f"{pages.url}/app/{place.format(**ids)}")
        await page.wait_for_load_state("networkidle")
        read = [await _text(answer) for answer in answers if "/v1/" in answer.url]
        assert not [text for text in read if "Theirs" in text]
        assert "Theirs" not in await page.locator("body").inner_text()
        answers.clear()
    await page.goto(f"{pages.url}/app/webhooks/{ids['whe']}")
    await expect(page.get_by_text("There is no such thing, or it is not yours.")).to_be_visible()


async def _text(answer: Response) -> str:
    """Return what came; nothing of an answer to the page before."""
    with suppress(PlaywrightError):
        return await answer.text()
    return ""


class Crossing:
    """A machine that drives into a zone and out again; two fixes outside end a stay."""

    def __init__(self, stack: StackInfo, client: Client) -> None:
        self._stack, self._client = stack, client
        self._time = datetime.now(UTC) - timedelta(hours=1)
        self._tracker: dict[str, Any] = {}

    async def prepare(self) -> None:
        since = format_time(to_us(self._time - timedelta(hours=1)))
        zone = {
            "name": "Quarry",
            "geometry": {"type": "Point", "coordinates": [LON, LAT]},
            "radius_m": 50,
            "valid_from": since,
        }
        assert (await self._client.post("/v1/zones", zone)).status == 201
        asset_id = (await self._client.post("/v1/assets", {"name": "Excavator"})).json["id"]
        body = {"asset_id": asset_id, "assigned_from": since}
        self._tracker = (await self._client.post("/v1/trackers", body)).json
        await asyncio.sleep(1.5)  # the listener knows a new tracker within a second

    async def drive(self) -> None:
        address = urlsplit(self._stack.broker_url)
        assert address.hostname is not None
        name, secret = self._tracker["id"], self._tracker["secret"]
        async with aiomqtt.Client(
            address.hostname, address.port or 1883, username=name, password=secret
        ) as device:
            for number in range(3 * STAYS):
                self._time += timedelta(seconds=10)
                fix = {
                    "time": format_time(to_us(self._time)),
                    "lat": LAT,
                    "lon": LON + 0.002 * (number % 3 > 0),
                }
                await device.publish(f"trackers/{name}/fixes", json.dumps(fix), qos=1)
                await asyncio.sleep(0.15)

    async def told(self) -> list[str]:
        """Return the times of all breaches, the newest first."""
        query: dict[str, Any] = {"type": "asset.geofence_breach", "limit": 1_000}
        events = (await self._client.get("/v1/events", **query)).json["data"]
        return [event["data"]["occurred_at"] for event in events]


@pytest.mark.acceptance
@pytest.mark.usefixtures("programs")
async def test_a_killed_api_is_said_and_no_event_is_missed(
    browser: Browser, installation: Installation
) -> None:
    stack = installation.stack()
    owner = stack.database["opsc_owner"]
    admin = await create_with_admin(owner, "City Works", "admin@killed.example", "unlimited")
    context = await browser.new_context(locale="en-GB")
    pages = await pages_of(context, stack.api_url)
    pages.expected += ["ERR_CONNECTION", "ERR_EMPTY_RESPONSE", "502", "503"]
    page = await pages.sign_in_by(admin.email, admin.password, admin.organization_id, "breaches")
    body = {"email": admin.email, "password": admin.password}
    body["organization_id"] = admin.organization_id
    token = (await Client(stack.api_url, None).post("/v1/auth/token", body)).json["access_token"]
    machine = Crossing(stack, Client(stack.api_url, token))
    await machine.prepare()
    driving = asyncio.create_task(machine.drive())
    times = page.get_by_role("list", name="Breaches").locator("time")
    await expect(times.nth(3)).to_be_visible()
    pid = stack.parts["api"].pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    await expect(page.get_by_text("what you see is not live")).to_be_visible()
    await driving
    await expect(page.get_by_text("what you see is not live")).to_have_count(0, timeout=60_000)
    await until(lambda: _is_told(machine), wait_s=30)
    told = await machine.told()
    await expect(times).to_have_count(len(told))
    seen = [await times.nth(n).get_attribute("datetime") for n in range(len(told))]
    assert seen == told
    await pages.check()


async def _is_told(machine: Crossing) -> bool:
    return len(await machine.told()) == 2 * STAYS
