"""Machines and their trackers, from the first one on."""

import re
from datetime import UTC, datetime

from playwright.async_api import expect

from db.core.connect import connect
from db.listener import commands
from db.listener.commands import CommandAnswer
from telemetry.ids import parse_id
from tests.api.live.positions import put
from tests.api.running import Organization, RunningApi
from tests.dashboard.pages import Pages


async def test_a_new_organization_comes_to_its_first_position(
    pages: Pages, api: RunningApi, org: Organization
) -> None:
    page = await pages.sign_in(org, "dispatcher@example.com", "trackers")
    await expect(page.get_by_text("There are no trackers yet")).to_be_visible()
    await page.get_by_label("Name of the machine").fill("Excavator 1")
    await page.get_by_role("button", name="Add the machine").click()
    await expect(page.get_by_text("Waiting for the first position")).to_be_visible()
    (tracker,) = (await org.admin.get("/v1/trackers")).json["data"]
    await expect(page.get_by_text(f"trackers/{tracker['id']}/fixes").first).to_be_visible()
    code = page.get_by_role("img", name="QR code that sets up the app OwnTracks")
    await expect(code).to_be_visible()
    link = page.get_by_role("link", name="Set up OwnTracks on this phone")
    await expect(link).to_have_attribute("href", re.compile(r"^owntracks:///config\?inline=\w+"))
    await expect(page.get_by_role("img", name="sets up the app Traccar Client")).to_be_visible()
    other = page.get_by_role("link", name="Set up Traccar Client on this phone")
    of_app = re.compile(rf"^org\.traccar\.client://config\?url=http.*osmand%2F{tracker['id']}\.")
    await expect(other).to_have_attribute("href", of_app)
    put(api, org, tracker["asset_id"], 47.0, 8.0)
    await expect(page.get_by_text("The first position has come")).to_be_visible()
    row = page.get_by_role("row", name="Excavator 1")
    first = await page.locator("code.secret").inner_text()
    drawn = await code.locator("path").get_attribute("d")
    await row.get_by_role("button", name="Set up again").click()
    await expect(page.locator("code.secret")).not_to_have_text(first)
    assert await code.locator("path").get_attribute("d") != drawn
    await row.get_by_role("button", name="Revoke").click()
    await expect(row).to_contain_text("Revoked")


async def test_a_machine_is_added_with_its_id_at_a_gateway(pages: Pages, org: Organization) -> None:
    pages.expected.append("409 (Conflict)")
    taken = {"name": "Another", "external_id": "356307042441013"}
    assert (await org.admin.post("/v1/trackers", taken)).status == 201
    page = await pages.sign_in(org, "dispatcher@example.com", "trackers")
    name, external_id = page.get_by_label("Name of the machine"), page.get_by_label("external_id")
    await name.fill("Excavator 1")
    await external_id.fill("356307042441013")
    await page.get_by_role("button", name="Add the machine").click()
    await expect(page.get_by_text("Something else has this external id")).to_be_visible()
    await external_id.fill(" 356307042441014 ")
    await page.get_by_role("button", name="Add the machine").click()
    await expect(page.get_by_text("If a gateway forwards for this device")).to_be_visible()
    await expect(page.get_by_role("row", name="Excavator 1")).to_contain_text("356307042441014")
    stored = (await org.admin.get("/v1/trackers")).json["data"]
    assert {each["external_id"] for each in stored} == {"356307042441013", "356307042441014"}
    assert len((await org.admin.get("/v1/assets")).json["data"]) == 1
    await expect(external_id).to_have_value("")


async def test_a_machine_is_added_with_the_imei_of_its_box(pages: Pages, org: Organization) -> None:
    pages.expected.append("409 (Conflict)")
    taken = {"name": "Another", "imei": "356307042441013"}
    assert (await org.admin.post("/v1/trackers", taken)).status == 201
    page = await pages.sign_in(org, "dispatcher@example.com", "trackers")
    name, imei = page.get_by_label("Name of the machine"), page.get_by_label("IMEI of a box")
    await name.fill("Excavator 1")
    await imei.fill("356307042441013")
    await page.get_by_role("button", name="Add the machine").click()
    await expect(page.get_by_text("Another tracker has this IMEI")).to_be_visible()
    await imei.fill("490154203237518")
    await page.get_by_role("button", name="Add the machine").click()
    row = page.get_by_role("row", name="Excavator 1")
    await expect(row).to_contain_text("IMEI 490154203237518")
    await expect(row).not_to_contain_text("The last digit does not check the others")
    await name.fill("Excavator 2")
    await imei.fill("490154203237519")
    await page.get_by_role("button", name="Add the machine").click()
    row = page.get_by_role("row", name="Excavator 2")
    await expect(row).to_contain_text("The last digit does not check the others")


async def test_a_command_is_sent_answered_and_another_one_cancelled(
    pages: Pages, api: RunningApi, org: Organization
) -> None:
    of = (await org.admin.post("/v1/trackers", {"name": "T-1"})).json["id"]
    page = await pages.sign_in(org, "dispatcher@example.com", "trackers")
    button = page.get_by_role("row", name="T-1").get_by_role("button", name="Commands")
    await button.click()
    await expect(page.get_by_text("No command was sent to this tracker yet.")).to_be_visible()
    place = page.get_by_role("region", name="Commands to “T-1”")
    text = place.get_by_label("Command", exact=True)
    for command in ("getinfo", "getio"):
        await text.fill(command)
        await place.get_by_role("button", name="Send the command").click()
        await expect(place.get_by_role("row", name=command)).to_contain_text("Waits for the device")
    await expect(text).to_have_value("")
    async with await connect(api.database.url("opsc_listen"), "test") as conn:
        (taken,) = await commands.take(conn, {(org.org_id, parse_id("trk", of)): True})
        row = place.get_by_role("row", name="getinfo")
        await expect(row).to_contain_text("Sent")
        await expect(row.get_by_role("button", name="Cancel")).to_have_count(0)
        said = CommandAnswer("INI:2019/7/22 <b>7:22</b>", datetime.now(UTC))
        await commands.answer(conn, {(taken.org_id, taken.id): said})
    await expect(row).to_contain_text("INI:2019/7/22 <b>7:22</b>")  # without anything being pressed
    await expect(row).to_contain_text("Answered")
    other = place.get_by_role("row", name="getio")
    await other.get_by_role("button", name="Cancel").click()
    await expect(other).to_contain_text("Cancelled")
    await button.click()
    await expect(place).to_have_count(0)


async def test_a_phone_gets_a_key_for_its_encryption_which_is_taken_away_again(
    pages: Pages, org: Organization
) -> None:
    path = f"/v1/trackers/{(await org.admin.post('/v1/trackers', {'name': 'T-1'})).json['id']}"
    page = await pages.sign_in(org, "dispatcher@example.com", "trackers")
    button = page.get_by_role("row", name="T-1").get_by_role("button", name="Encryption")
    await button.click()
    place = page.get_by_role("region", name="Encryption of “T-1”")
    await expect(place).to_contain_text("There is no key")
    key = place.get_by_label("Key of OwnTracks")
    await expect(key).to_have_attribute("type", "password")
    pages.expected.append("422 (Unprocessable")
    await key.fill("ä" * 17)
    await place.get_by_role("button", name="Save").click()
    await expect(place.get_by_role("alert")).to_contain_text("at most 32 bytes")
    await key.fill("correct horse battery")
    await place.get_by_role("button", name="Save").click()
    await expect(place).to_contain_text("There is a key")
    await expect(key).to_have_value("")
    assert (await org.viewer.get(path)).json["has_encryption_key"] is True
    await place.get_by_role("button", name="Remove the key").click()
    await expect(place).to_contain_text("There is no key")
    assert (await org.viewer.get(path)).json["has_encryption_key"] is False
    await button.click()
    await expect(place).to_have_count(0)


async def test_a_viewer_only_looks(pages: Pages, api: RunningApi, org: Organization) -> None:
    await org.admin.post("/v1/trackers", {"name": "T-1"})
    page = await pages.sign_in(org, "viewer@example.com", "trackers")
    await expect(page.get_by_role("row", name="T-1")).to_contain_text("Nothing was heard of it")
    await expect(page.get_by_role("button", name="Revoke")).to_have_count(0)
    await expect(page.get_by_role("button", name="Commands")).to_have_count(0)
    await expect(page.get_by_role("button", name="Encryption")).to_have_count(0)
    await expect(page.get_by_label("Name of the machine")).to_have_count(0)
