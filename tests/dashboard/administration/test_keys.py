"""API keys on their page."""

from playwright.async_api import expect

from tests.api.running import Client, Organization, RunningApi
from tests.dashboard.pages import Pages
from tests.waiting import until


async def test_a_key_is_made_used_and_revoked(
    pages: Pages, api: RunningApi, org: Organization
) -> None:
    page = await pages.sign_in(org, org.email, "keys")
    await expect(page.get_by_text("There are no keys yet")).to_be_visible()
    await page.get_by_label("Name").fill("Nightly export")
    await page.get_by_role("button", name="Make a key").click()
    secret = await page.locator("code.secret").inner_text()
    program = Client(api.url, secret)
    assert (await program.get("/v1/assets")).status == 200
    row = page.get_by_role("row", name="Nightly export")
    await expect(row).to_contain_text(secret[-4:])
    await row.get_by_role("button", name="Revoke").click()
    await expect(row).to_have_count(0)

    async def is_refused() -> bool:
        return (await program.get("/v1/assets")).status == 401

    await until(is_refused)
