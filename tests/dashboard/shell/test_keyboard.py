"""By keyboard and the roles that a screen reader reads out: sign in, see the list, acknowledge."""

from playwright.async_api import Locator, Page, expect

from tests.api.live.positions import made, put
from tests.api.resources.alerting import store_alert
from tests.api.running import PASSWORD, Organization, RunningApi
from tests.dashboard.pages import Pages

MOST_STOPS = 40


async def _tab_to(page: Page, wanted: Locator) -> None:
    """Move on by Tab until the element has the focus, which must be seen."""
    for _ in range(MOST_STOPS):
        await page.keyboard.press("Tab")
        if await wanted.evaluate("element => element === document.activeElement"):
            outline = await wanted.evaluate("element => getComputedStyle(element).outlineStyle")
            assert outline != "none"
            return
    raise AssertionError(f"{wanted} is not reached by Tab")


async def test_from_signing_in_to_an_acknowledged_alert(
    pages: Pages, api: RunningApi, org: Organization
) -> None:
    put(api, org, await made(org, "Truck 1"), 47.0, 8.0)
    await store_alert(api, org, asset_name="Truck 1")
    page = await pages.open("sign-in")
    for label, text in (
        ("Email", "dispatcher@example.com"),
        ("Password", PASSWORD),
        ("Organization id", org.id),
    ):
        await _tab_to(page, page.get_by_label(label, exact=label == "Password"))
        await page.keyboard.type(text)
    await page.keyboard.press("Enter")
    machine = page.get_by_role("list", name="Assets").get_by_role("button", name="Truck 1")
    await expect(machine).to_be_visible()
    await _tab_to(page, machine)
    await page.keyboard.press("Space")
    await expect(machine).to_have_attribute("aria-pressed", "true")
    await page.keyboard.press("Control+k")
    await page.keyboard.type("Alerts")
    await expect(page.get_by_role("option", name="Alerts")).to_be_visible()
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", name="Alerts")).to_be_visible()
    await _tab_to(page, page.get_by_role("button", name="Acknowledge"))
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("list", name="Alerts")).to_contain_text("Acknowledged")
    assert (await org.admin.get("/v1/alerts")).json["data"][0]["state"] == "acknowledged"
