"""A person's first minutes with a whole system: a machine, a zone, a breach, its webhook, a key."""

import asyncio
import json
from datetime import UTC, datetime
from urllib.parse import urlsplit

import aiomqtt
import pytest
from playwright.async_api import Browser, Page, expect

from stack.cli.organizations.org import create_with_admin
from stack.verify.webhook_receiver import WebhookReceiver
from tests.api.running import Client
from tests.dashboard.pages import pages_of
from tests.stack.command import Installation

LAT, LON = 47.05, 8.31


async def _add_machine(page: Page) -> tuple[str, str]:
    """Add a machine, and return the user name and the password of its device."""
    await page.get_by_role("link", name="Trackers").click()
    await page.get_by_label("Name of the machine").fill("Excavator 1")
    await page.get_by_role("button", name="Add the machine").click()
    await expect(page.get_by_text("Waiting for the first position")).to_be_visible()
    name, secret, *_ = await page.locator("dl.facts code").all_inner_texts()
    return name, secret


async def _add_zone(page: Page) -> None:
    await page.get_by_role("link", name="Zones").click()
    await page.get_by_role("button", name="Circle").click()
    await page.get_by_label("Latitude").fill(str(LAT))
    await page.get_by_label("Longitude").fill(str(LON))
    await page.get_by_label("Name").fill("Quarry")
    await page.get_by_role("button", name="Save").click()
    await expect(page.get_by_role("button", name="Change")).to_be_visible()


async def _drive(broker_url: str, name: str, secret: str) -> None:
    """Send fixes of a way that leads into the zone, as the device does."""
    address = urlsplit(broker_url)
    assert address.hostname is not None
    async with aiomqtt.Client(
        address.hostname, address.port or 1883, username=name, password=secret
    ) as device:
        for step in range(6):
            fix = {
                "time": datetime.now(UTC).isoformat(),
                "lat": LAT,
                "lon": LON - 0.005 + step / 1e3,
            }
            await device.publish(f"trackers/{name}/fixes", json.dumps(fix), qos=1)
            await asyncio.sleep(0.3)


@pytest.mark.acceptance
@pytest.mark.usefixtures("programs")
async def test_from_nothing_to_a_breach_and_a_key(
    browser: Browser, installation: Installation
) -> None:
    stack = installation.stack()
    owner = stack.database["opsc_owner"]
    admin = await create_with_admin(owner, "City Works", "admin@city.example", "unlimited")
    context = await browser.new_context(locale="en-GB", viewport={"width": 1440, "height": 900})
    pages = await pages_of(context, stack.api_url)
    page = await pages.sign_in_by(admin.email, admin.password, admin.organization_id)
    await expect(page.get_by_text("There are no assets yet")).to_be_visible()
    steps = page.get_by_role("region", name="First steps").get_by_role("listitem")
    await expect(steps.first).to_have_attribute("aria-current", "step")
    async with WebhookReceiver() as receiver:
        await page.get_by_role("link", name="Webhooks").click()
        await page.get_by_label("Address").fill(receiver.url)
        await page.get_by_role("button", name="Add the address").click()
        receiver.expect(await page.locator("code.secret").inner_text())
        await _add_zone(page)
        name, secret = await _add_machine(page)
        await asyncio.sleep(1.5)  # the listener knows a new tracker within a second
        await _drive(stack.broker_url, name, secret)
        await expect(page.get_by_text("The first position has come")).to_be_visible()
        await page.get_by_role("link", name="Breaches").click()
        feed = page.get_by_role("list", name="Breaches")
        await expect(feed).to_contain_text("Excavator 1 entered Quarry")
        await page.get_by_role("link", name="Webhooks").click()
        await page.get_by_role("link", name=receiver.url).click()
        row = page.get_by_role("row", name="asset.geofence_breach")
        await expect(row).to_contain_text("Accepted", timeout=30_000)
        await row.get_by_role("button", name="Attempts").click()
        await expect(page.get_by_role("region", name="Attempts")).to_contain_text("2")
    await page.get_by_role("link", name="Trackers").click()
    await expect(page.get_by_role("row", name="Excavator 1")).to_contain_text("Heard of last on")
    await page.get_by_role("link", name="Map").click()
    await expect(page.get_by_role("button", name="Excavator 1")).to_be_visible()
    await expect(page.get_by_role("region", name="First steps")).to_have_count(0)  # all are done
    await page.get_by_role("link", name="API keys").click()
    await page.get_by_label("Name").fill("Export")
    await page.get_by_role("button", name="Make a key").click()
    program = Client(stack.api_url, await page.locator("code.secret").inner_text())
    events = (await program.get("/v1/events", type="asset.geofence_breach")).json["data"]
    assert [event["data"]["zone_name"] for event in events] == ["Quarry"]
    await page.get_by_role("row", name="Export").get_by_role("button", name="Revoke").click()
    await expect(page.get_by_text("There are no keys yet")).to_be_visible()
    await pages.check()
