"""Who changed what, on its page."""

from playwright.async_api import expect

from tests.api.running import Client, Organization, RunningApi
from tests.dashboard.pages import Pages


async def test_changes_are_found_and_shown_as_before_and_after(
    pages: Pages, api: RunningApi, org: Organization
) -> None:
    crane = (await org.dispatcher.post("/v1/assets", {"name": "Crane <b>7</b>"})).json["id"]
    key = (await org.admin.post("/v1/api-keys", {"name": "Nightly"})).json["secret"]
    await Client(api.url, key).patch(f"/v1/assets/{crane}", {"name": "Crane 8"})
    for number in range(60):
        await org.admin.post("/v1/clients", {"name": f"Client {number}"})
    page = await pages.sign_in(org, org.email, "audit")
    rows = page.get_by_role("list", name="Audit").locator("li.change")
    await expect(rows).to_have_count(50)
    await page.get_by_role("button", name="Older ones").click()
    await expect(rows.nth(60)).to_be_visible()
    await page.get_by_label("Kind").select_option("sign_in")
    await expect(rows.first).to_contain_text(f"{org.email} made: Sign-in")
    await page.get_by_label("Kind").select_option("asset")
    await expect(rows).to_have_count(3)  # it has tags, too
    await expect(rows.first).to_contain_text(f"{org.email} changed: Machine “Crane 8”")
    await expect(rows.first).to_contain_text("by the key “Nightly”")
    await rows.first.get_by_text("1 field").click()
    change = rows.first.get_by_role("row", name="name")
    await expect(change.get_by_role("cell").first).to_have_text("Crane <b>7</b>")
    await expect(change.get_by_role("cell").last).to_have_text("Crane 8")
    await page.get_by_label("Person").select_option("dispatcher@example.com")
    await expect(rows).to_have_count(2)
    made = "dispatcher@example.com made: Machine “Crane <b>7</b>”"
    await expect(rows.last).to_contain_text(made)
    await page.get_by_label("Person").select_option("All")
    await page.get_by_label("Kind").select_option("client")
    await expect(rows).to_have_count(50)
    await rows.nth(3).get_by_role("button", name="cli_").click()
    await expect(rows).to_have_count(1)
    await page.get_by_label("To", exact=True).fill("2020-01-01T00:00")
    await expect(page.get_by_text("No change fits")).to_be_visible()
    await page.get_by_role("button", name="Show all").click()
    await page.get_by_label("To", exact=True).fill("")
    await expect(rows.nth(49)).to_be_visible()
