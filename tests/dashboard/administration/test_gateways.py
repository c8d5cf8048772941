"""Gateways on their page."""

import re

from playwright.async_api import Page, expect

from db.resources.trackers import secret_hash
from tests.api.running import Organization, RunningApi
from tests.dashboard.pages import Pages

ADDRESS = re.compile(r"http://127\.0\.0\.1:5055/v1/ingest/gateways/(gtw_\w+)\.([\w-]{43})")


async def _key_on(page: Page) -> tuple[str, str]:
    """Return the gateway's id and its secret, as the address that is shown has them."""
    found = ADDRESS.fullmatch(await page.locator("code.secret").inner_text())
    assert found is not None
    return found[1], found[2]


def _stored_hash(api: RunningApi, org: Organization) -> bytes:
    rows = api.sql("SELECT secret_hash FROM gateways WHERE org_id = %s", org.org_id)
    return bytes(rows[0][0])


async def test_a_gateway_is_added_gets_another_key_and_is_revoked(
    pages: Pages, api: RunningApi, org: Organization
) -> None:
    page = await pages.sign_in(org, "dispatcher@example.com", "gateways")
    asked: list[str] = []
    page.on("dialog", lambda dialog: asked.append(dialog.message))
    await expect(page.get_by_text("There are no gateways yet")).to_contain_text("external_id")
    await page.get_by_label("Name").fill("Traccar in Zurich")
    await page.get_by_label("Kind").select_option("Traccar")
    await page.get_by_role("button", name="Add the gateway").click()
    gateway_id, secret = await _key_on(page)
    (gateway,) = (await org.viewer.get("/v1/gateways")).json["data"]
    assert (gateway["id"], gateway["kind"]) == (gateway_id, "traccar")
    assert _stored_hash(api, org) == secret_hash(secret)
    await expect(page.get_by_text("forward.retry.enable")).to_be_visible()
    code = page.get_by_role("img", name="QR code of the address").locator("path")
    drawn = await code.get_attribute("d")
    row = page.get_by_role("row", name="Traccar in Zurich")
    await expect(row).to_contain_text("Active")
    await expect(row).to_contain_text("Nothing was heard of it yet")
    await row.get_by_role("button", name="New key").click()
    await expect(page.locator("code.secret")).not_to_contain_text(secret)
    assert _stored_hash(api, org) == secret_hash((await _key_on(page))[1])
    assert await code.get_attribute("d") != drawn
    api.sql("INSERT INTO gateway_sightings SELECT org_id, id, '2026-01-31 12:00' FROM gateways")
    await row.get_by_role("button", name="Revoke").click()
    await expect(row).to_contain_text("Revoked")
    await expect(row).to_contain_text("31 Jan 2026, 12:00:00")
    await expect(row.get_by_role("button")).to_have_count(0)
    await expect(page.locator("code.secret")).to_have_count(0)  # it is good for nothing any more
    assert [each.split("?")[0] for each in asked] == [
        "Give “Traccar in Zurich” a new key",
        "Revoke “Traccar in Zurich”",
    ]


async def test_each_kind_says_what_is_set_there(pages: Pages, org: Organization) -> None:
    page = await pages.sign_in(org, "dispatcher@example.com", "gateways")
    for kind, setting in (
        ("ChirpStack", "Event endpoint URL(s)"),
        ("The Things Stack", "Uplink message, Location solved"),
    ):
        await page.get_by_label("Name").fill(f"Fields by {kind}")
        await page.get_by_label("Kind").select_option(kind)
        await page.get_by_role("button", name="Add the gateway").click()
        await expect(page.get_by_role("row", name=f"Fields by {kind}")).to_be_visible()
        await expect(page.get_by_text(setting)).to_be_visible()
        link = page.locator("main").get_by_role("link", name="Unknown devices")
        await expect(link).to_have_attribute("href", "/app/unknown-devices")


async def test_a_viewer_finds_them_and_only_looks(pages: Pages, org: Organization) -> None:
    body = {"name": "LoRaWAN", "kind": "tts"}
    assert (await org.admin.post("/v1/gateways", body)).status == 201
    page = await pages.sign_in(org, "viewer@example.com", "breaches")
    await page.keyboard.press("Control+k")
    await page.get_by_role("combobox", name="Search").fill("lora")
    found = page.get_by_role("listbox").get_by_role("option")
    await expect(found).to_have_text(["LoRaWAN Gateway"])
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("row", name="LoRaWAN")).to_contain_text("The Things Stack")
    await expect(page.locator("main").get_by_role("button")).to_have_count(0)
    await expect(page.get_by_label("Name")).to_have_count(0)


async def test_a_gateway_of_any_json_gets_a_mapping_and_a_pattern(
    pages: Pages, org: Organization
) -> None:
    page = await pages.sign_in(org, "dispatcher@example.com", "gateways")
    await page.get_by_label("Name").fill("Own server")
    await page.get_by_label("Kind").select_option("JSON")
    mapping = page.get_by_label("Where the values of a message stand")
    pages.expected.append("422 (Unprocessable")
    await mapping.fill("{")
    await page.get_by_role("button", name="Add the gateway").click()
    await expect(page.get_by_text("The mapping is no JSON")).to_be_visible()
    await mapping.fill('{"device": "/id", "lat": "lat", "lon": "/lon"}')
    await page.get_by_role("button", name="Add the gateway").click()
    await expect(page.get_by_role("alert")).to_contain_text("must be a path in the message")
    await mapping.fill('{"device": "/id", "lat": "/lat", "lon": "/lon"}')
    await page.get_by_role("button", name="Add the gateway").click()
    await expect(page.get_by_text("tcp://127.0.0.1:1883")).to_be_visible()
    row = page.get_by_role("row", name="Own server")
    await row.get_by_role("button", name="Change").click()
    form = page.get_by_role("region", name="Change “Own server”")
    await form.get_by_label("Register devices as they come").fill("truck-*")
    await form.get_by_role("button", name="Save").click()
    await expect(row).to_contain_text("truck-*")
    (gateway,) = (await org.viewer.get("/v1/gateways")).json["data"]
    assert (gateway["kind"], gateway["auto_register"]) == ("generic", "truck-*")
    assert (gateway["mapping"]["lat"], gateway["mapping"]["device"]) == ("/lat", "/id")
