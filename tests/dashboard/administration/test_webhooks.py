"""Webhook endpoints, their deliveries and what was answered."""

from playwright.async_api import expect

from tests.api.running import Organization
from tests.dashboard.pages import Pages

_URL = "https://hooks.example.com/<b>in</b>"


async def test_an_endpoint_is_made_tested_and_switched_off(
    pages: Pages, org: Organization, south: Organization
) -> None:
    page = await pages.sign_in(org, org.email, "webhooks")
    await expect(page.get_by_text("No program of yours gets events yet")).to_be_visible()
    await page.get_by_label("Address").fill(_URL)
    await page.get_by_role("button", name="Add the address").click()
    await expect(page.locator("code.secret")).to_contain_text("whsec_")
    await page.get_by_role("link", name="hooks.example.com").click()
    await page.get_by_role("button", name="Send a test event").click()
    row = page.get_by_role("row", name="asset.geofence_breach")
    await expect(row).to_contain_text("test")
    await row.get_by_role("button", name="Attempts").click()
    await expect(page.get_by_text("Nothing was attempted yet")).to_be_visible()
    await page.get_by_role("button", name="Switch off").click()
    await expect(page.get_by_text("Switched off")).to_be_visible()
    (stored,) = (await org.admin.get("/v1/webhook-endpoints")).json["data"]
    assert (stored["state"], stored["types"]) == ("disabled", ["*"])
    await page.get_by_role("button", name="Delete").click()
    await expect(page.get_by_text("No program of yours gets events yet")).to_be_visible()
    assert (await org.admin.get("/v1/webhook-endpoints")).json["data"] == []


async def test_another_organizations_endpoint_is_not_there(
    pages: Pages, org: Organization, south: Organization
) -> None:
    pages.expected.append("404 (Not Found)")
    body = {"url": "https://theirs.example.com/", "types": ["*"]}
    theirs = (await south.admin.post("/v1/webhook-endpoints", body)).json["id"]
    page = await pages.sign_in(org, org.email, f"webhooks/{theirs}")
    await expect(page.get_by_role("alert").first).to_contain_text("There is no such thing")
    assert "theirs" not in await page.content()
