"""Devices that are not let in, on their page."""

from playwright.async_api import expect

from tests.api.running import Organization, RunningApi
from tests.api.stored import store_unknown
from tests.dashboard.pages import Pages

DEV_EUI = "70B3D57ED0051234"


async def _gateway(org: Organization) -> str:
    made = await org.admin.post("/v1/gateways", {"name": "Fields", "kind": "tts"})
    return made.json["id"]


async def test_a_device_shows_up_and_is_registered_with_its_machine(
    pages: Pages, api: RunningApi, org: Organization
) -> None:
    page = await pages.sign_in(org, "dispatcher@example.com", "unknown-devices")
    await expect(page.get_by_text("There are no unknown devices")).to_be_visible()
    store_unknown(api, org, DEV_EUI, gateway_id=await _gateway(org), place=(47.05, 8.31))
    row = page.get_by_role("row", name=DEV_EUI)
    await expect(row).to_contain_text("Not registered")  # without anything being pressed
    await expect(row).to_contain_text("Fields")
    await expect(row).to_contain_text("47.05000, 8.31000")
    await row.get_by_role("button", name="Register").click()
    form = page.get_by_role("form", name=f"Register {DEV_EUI}")
    pages.expected.append("403")
    limit = "INSERT INTO organization_quotas VALUES (%s, 'trackers', 0) RETURNING 1"
    api.sql(limit, org.org_id)
    await form.get_by_label("Name of the machine").fill("Pump 7")
    await form.get_by_role("button", name="Register").click()
    await expect(form.get_by_role("alert")).to_contain_text("no room for more")
    api.sql("DELETE FROM organization_quotas WHERE org_id = %s RETURNING 1", org.org_id)
    await form.get_by_role("button", name="Register").click()
    await expect(page.get_by_role("status").first).to_contain_text("“Pump 7” is registered")
    await expect(page.get_by_text(DEV_EUI)).to_have_count(0)
    (asset,) = (await org.viewer.get("/v1/assets")).json["data"]  # made once
    (tracker,) = (await org.viewer.get("/v1/trackers")).json["data"]
    found = (tracker["external_id"], tracker["asset_id"], tracker["name"])
    assert found == (DEV_EUI, asset["id"], "Pump 7")


async def test_a_wrong_password_leads_to_the_trackers_and_rows_are_filtered_and_forgotten(
    pages: Pages, api: RunningApi, org: Organization
) -> None:
    tracker = await org.admin.post("/v1/trackers", {"name": "Phone"})
    store_unknown(api, org, tracker_id=tracker.json["id"], reason="wrong_secret")
    store_unknown(api, org, DEV_EUI)
    page = await pages.sign_in(org, "dispatcher@example.com", "unknown-devices")
    row = page.get_by_role("row", name="Phone")
    await expect(row.get_by_role("button", name="Register")).to_have_count(0)
    await page.get_by_label("Reason").select_option("Wrong password")
    await expect(page.get_by_text(DEV_EUI)).to_have_count(0)
    asked: list[str] = []
    page.on("dialog", lambda dialog: asked.append(dialog.message))
    await row.get_by_role("button", name="Forget").click()
    await expect(page.get_by_text("No unknown device has this reason")).to_be_visible()
    assert [each.split("?")[0] for each in asked] == ["Forget “Phone”"]
    left = (await org.dispatcher.get("/v1/unknown-devices")).json["data"]
    assert [device["external_id"] for device in left] == [DEV_EUI]
    store_unknown(api, org, tracker_id=tracker.json["id"], reason="wrong_secret")
    await row.get_by_role("link", name="Trackers").click()
    await expect(page.get_by_role("heading", name="Trackers")).to_be_visible()


async def test_a_viewer_does_not_find_the_page(
    pages: Pages, api: RunningApi, org: Organization
) -> None:
    store_unknown(api, org, DEV_EUI)
    pages.expected.append("403")
    page = await pages.sign_in(org, "viewer@example.com", "unknown-devices")
    await expect(page.get_by_role("alert")).to_contain_text("Your role does not allow this")
    await expect(page.get_by_text(DEV_EUI)).to_have_count(0)
    links = page.get_by_role("navigation").get_by_role("link", name="Unknown devices")
    await expect(links).to_have_count(0)
