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


async def test_a_key_of_a_program_may_little_and_is_rotated_with_an_overlap(
    pages: Pages, api: RunningApi, org: Organization
) -> None:
    pages.expected.append("422 (Unprocessable")
    robot = {"email": "robot@example.com", "role": "dispatcher", "service": True}
    robot_id = (await org.admin.post("/v1/users", robot)).json["id"]
    page = await pages.sign_in(org, org.email, "keys")
    await page.get_by_label("Name").fill("Map on the wall")
    await page.get_by_label("Acts as").select_option("robot@example.com")
    await page.get_by_label("Rights").select_option("Only these")
    assets = page.get_by_role("group", name="assets", exact=True)
    await assets.get_by_label("read").check()
    await page.get_by_label("Expires").fill("2020-02-29")
    await page.get_by_role("button", name="Make a key").click()
    await expect(page.get_by_text("It must lie in the future")).to_be_visible()
    await page.get_by_label("Expires").fill("2099-02-28")
    await page.get_by_role("button", name="Make a key").click()
    row = page.get_by_role("row", name="Map on the wall")
    await expect(row).to_contain_text("robot@example.com")
    await expect(row).to_contain_text("assets:read")
    await expect(row).to_contain_text("28 Feb 2099")
    old = await page.locator("code.secret").inner_text()
    await row.get_by_role("button", name="Rotate").click()
    rotation = page.get_by_role("region", name="Rotate")
    await rotation.get_by_label("The old secret ends").select_option("after a week")
    await rotation.get_by_role("button", name="Rotate").click()
    await expect(row).to_contain_text("old secret until")
    new = await page.locator("code.secret").inner_text()
    assert new != old
    for secret in (old, new):
        assert (await Client(api.url, secret).get("/v1/assets")).status == 200
        refused = await Client(api.url, secret).get("/v1/zones")
        assert refused.json["code"] == "scope_missing"
    (stored,) = (await org.admin.get("/v1/api-keys")).json["data"]
    assert (stored["user_id"], stored["scopes"]) == (robot_id, ["assets:read"])
