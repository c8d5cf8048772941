"""Alerts: seen, taken on, talked about and resolved, by keyboard too."""

import asyncio
import re

from playwright.async_api import expect

from tests.api.live.reading import emit
from tests.api.resources.alerting import store_alert
from tests.api.running import Organization, RunningApi
from tests.dashboard.breaches import breach
from tests.dashboard.pages import Pages
from tests.waiting import until

_COUNT_SOUNDS = """() => {
  window.sounds = 0
  const start = OscillatorNode.prototype.start
  OscillatorNode.prototype.start = function () { window.sounds += 1; start.call(this) }
}"""


async def test_an_alert_is_acknowledged_by_keyboard_taken_on_and_resolved(
    pages: Pages, api: RunningApi, org: Organization
) -> None:
    alert_id = await store_alert(api, org, asset_name="<b>Truck</b> 1")
    page = await pages.sign_in(org, "dispatcher@example.com", "alerts")
    feed = page.get_by_role("list", name="Alerts")
    await expect(feed).to_contain_text("<b>Truck</b> 1 entered Quarry")
    await page.get_by_role("button", name="Acknowledge").focus()
    await page.keyboard.press("Enter")
    await expect(feed).to_contain_text("Acknowledged")
    await page.get_by_role("button", name="Take it on").click()
    await expect(feed).to_contain_text("With dispatcher@example.com")
    await page.get_by_role("button", name="Details").click()
    await page.get_by_label("Remark").fill("The driver was lost. <script>alert(1)</script>")
    await page.keyboard.press("Enter")
    log = page.get_by_role("list", name="What was done")
    await expect(log).to_contain_text("The driver was lost. <script>alert(1)</script>")
    await expect(log.get_by_role("listitem")).to_have_count(3)
    await page.get_by_role("button", name="Mine").click()
    await page.get_by_role("button", name="Resolve", exact=True).click()
    await expect(page.get_by_text("Nothing is yours")).to_be_visible()
    await page.get_by_role("button", name="Resolved").click()
    await expect(page.get_by_role("button", name="Open again")).to_be_visible()
    stored = (await org.admin.get(f"/v1/alerts/{alert_id}")).json
    assert [entry["state"] for entry in stored["log"]] == [
        "acknowledged",
        "assigned",
        "assigned",
        "resolved",
    ]


async def test_alerts_come_by_themselves_and_a_viewer_only_looks(
    pages: Pages, api: RunningApi, org: Organization, south: Organization
) -> None:
    page = await pages.sign_in(org, "viewer@example.com", "alerts")
    await expect(page.get_by_text("Nothing is open")).to_be_visible()
    await store_alert(api, south, asset_name="Theirs")
    await store_alert(api, org, asset_name="Ours", visit_id=None)
    await page.evaluate(_COUNT_SOUNDS)
    await page.get_by_label("A sound where something alerts").check()
    assert await page.evaluate("window.sounds") == 1  # as a sample
    await asyncio.sleep(2.1)  # until it may sound again
    emit(api, org)
    await expect(page.get_by_text("Ours", exact=True)).to_be_visible()
    # The list may be read before it comes. `wait_for_function` evaluates a text in the page again
    # and again, which the policy of what may run forbids from the second time on.
    await until(lambda: page.evaluate("window.sounds === 2"))
    await expect(page.get_by_text("Theirs")).to_have_count(0)
    await expect(page.get_by_role("button", name="Acknowledge")).to_have_count(0)
    await page.get_by_role("button", name="Details").click()
    link = page.get_by_role("link", name="At that moment")
    await expect(link).to_have_attribute(
        "href", re.compile(r"/app/history\?asset=ast_\w+&from=\d+&to=\d+&at=\d+$")
    )


async def test_an_admin_gives_it_to_somebody(
    pages: Pages, api: RunningApi, org: Organization
) -> None:
    await store_alert(api, org)
    page = await pages.sign_in(org, org.email, "alerts")
    await page.get_by_role("button", name="Details").click()
    await page.get_by_label("Assigned to").select_option(label="dispatcher@example.com")
    await expect(page.get_by_role("list", name="Alerts")).to_contain_text(
        "With dispatcher@example.com"
    )


async def test_a_breach_says_what_became_of_its_deliveries(
    pages: Pages, api: RunningApi, org: Organization
) -> None:
    breach(api, org, "Truck 1")
    page = await pages.sign_in(org, org.email, "breaches")
    await page.get_by_role("button", name="Deliveries").click()
    await expect(page.get_by_text("No endpoint wants this event.")).to_be_visible()
