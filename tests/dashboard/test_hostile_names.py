"""Names that are scripts, long, or from right to left: inert, and shown whole, on every page."""

from playwright.async_api import expect

from tests.api.live.positions import made, put
from tests.api.resources.alerting import store_alert
from tests.api.running import Organization, RunningApi
from tests.api.stored import store_unknown
from tests.dashboard.breaches import breach
from tests.dashboard.pages import Pages

SCRIPT = "<img src=x onerror='window.hacked=1'><script>window.hacked=1</script>"
NAMES = (SCRIPT, "مرحبا بالعالم", ("Kranwagen-" * 20)[:200])


async def test_names_are_shown_whole_and_do_nothing(
    pages: Pages, api: RunningApi, org: Organization
) -> None:
    store_unknown(api, org, "<img src=x onerror='window.hacked=1'>")
    for number, name in enumerate(NAMES):
        asset_id = await made(org, name)
        put(api, org, asset_id, 47.0 + number / 100, 8.0)
        breach(api, org, name, zone_name=name, asset_id=asset_id)
        await store_alert(api, org, asset_name=name, zone_name=name)
        circle = {"type": "Point", "coordinates": [8.0, 47.0 + number / 100]}
        zone = {"name": name, "geometry": circle, "radius_m": 300}
        assert (await org.admin.post("/v1/zones", zone)).status == 201
        assert (await org.admin.post("/v1/api-keys", {"name": name[:100]})).status == 201
        user = {"email": f"u{number}@example.com", "role": "viewer", "name": name[:100]}
        assert (await org.admin.post("/v1/users", user)).status == 201
        tracker = {"name": name, "asset_id": asset_id, "external_id": name}
        made_tracker = await org.admin.post("/v1/trackers", tracker)
        assert made_tracker.status == 201
        store_unknown(api, org, tracker_id=made_tracker.json["id"], reason="wrong_secret")
        gateway = {"name": name, "kind": "chirpstack"}
        assert (await org.admin.post("/v1/gateways", gateway)).status == 201
    assert (await org.admin.patch("/v1/organization", {"name": SCRIPT})).status == 200
    page = await pages.sign_in(org, org.email)
    fleet = ("", "zones", "alerts", "breaches", "trackers", "gateways", "unknown-devices")
    for place in (*fleet, "keys", "users", "audit"):
        await page.goto(f"{pages.url}/app/{place}")
        for name in NAMES:
            shown = page.locator("#content").get_by_text(name[:100]).first
            await expect(shown).to_be_attached()
        assert await page.evaluate("window.hacked") is None
    await page.goto(f"{pages.url}/app/history")
    await expect(page.get_by_label("Machine").locator("option")).to_have_text(
        ["Choose a machine", *sorted(NAMES)]
    )
    await page.goto(f"{pages.url}/app/organization")
    await expect(page.get_by_label("Name", exact=True)).to_have_value(SCRIPT)
    await page.keyboard.press("Control+k")
    await page.keyboard.type("Kranwagen")
    await expect(page.get_by_role("listbox").get_by_role("option").first).to_contain_text(NAMES[2])
    assert await page.evaluate("window.hacked") is None
