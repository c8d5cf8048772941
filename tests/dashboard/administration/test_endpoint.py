"""One webhook endpoint on its page: what it gets, its secret, statistics, and what has failed."""

from datetime import UTC, datetime
from typing import Any

from playwright.async_api import expect

from db.delivery.endpoint_hours import CLASSES
from telemetry.ids import parse_id
from tests.api.live.positions import made
from tests.api.running import Organization, RunningApi
from tests.api.shapes import square
from tests.api.stored import store_event
from tests.dashboard.pages import Pages


async def _endpoint(org: Organization) -> str:
    body = {"url": "https://hooks.example.com/", "types": ["*"]}
    return (await org.admin.post("/v1/webhook-endpoints", body)).json["id"]


async def _stored(org: Organization, endpoint: str) -> Any:
    return (await org.admin.get(f"/v1/webhook-endpoints/{endpoint}")).json


def _fail(api: RunningApi, org: Organization, endpoint: str, deliveries: int) -> None:
    """Store deliveries that have failed, and an hour with as many attempts that have, and one that
    has not.
    """
    for seq in range(1, deliveries + 1):
        event = store_event(api, org, seq)
        api.sql(
            "INSERT INTO webhook_deliveries (org_id, endpoint_id, event_id, seq, state, attempts,"
            " last_status) VALUES (%s, %s, %s, %s, 'failed', 8, 503)",
            org.org_id,
            parse_id("whe", endpoint),
            parse_id("evt", event),
            seq,
        )
    api.sql(
        "INSERT INTO webhook_endpoint_hours VALUES (%s, %s, date_trunc('hour', now()), %s, 1, %s)",
        org.org_id,
        parse_id("whe", endpoint),
        deliveries + 1,
        [1] * CLASSES,
    )


async def test_what_was_given_up_is_counted_and_sent_again(
    pages: Pages, api: RunningApi, org: Organization
) -> None:
    endpoint = await _endpoint(org)
    _fail(api, org, endpoint, deliveries=3)
    await org.admin.patch(f"/v1/webhook-endpoints/{endpoint}", {"state": "disabled"})
    page = await pages.sign_in(org, org.email, f"webhooks/{endpoint}")
    statistics = page.get_by_role("region", name="Statistics")
    await expect(statistics.get_by_role("img", name="1 accepted, 3 failed")).to_be_visible()
    await expect(statistics).to_contain_text("25%")
    recovery = page.get_by_role("region", name="Recovery")
    await expect(recovery).to_contain_text("once the address is let in again")
    await page.get_by_role("button", name="Let in again").click()
    year = datetime.now(UTC).year
    await recovery.get_by_label("Given up since").fill(f"{year + 1}-01-01T00:00")
    await recovery.get_by_role("button", name="Count").click()
    await expect(recovery).to_contain_text("Nothing was given up since then")
    await recovery.get_by_label("Given up since").fill(f"{year - 1}-01-01T00:00")
    await recovery.get_by_role("button", name="Count").click()
    await expect(recovery).to_contain_text("3 deliveries were given up since then")
    await recovery.get_by_role("button", name="Send all of them again").click()
    await expect(recovery).to_contain_text("3 deliveries are on their way again")
    await expect(page.get_by_role("table").get_by_text("Waits")).to_have_count(3)
    assert (await _stored(org, endpoint))["state"] == "active"


async def test_an_endpoint_gets_what_is_chosen_signed_by_a_new_secret(
    pages: Pages, org: Organization
) -> None:
    pages.expected.append("422 (Unprocessable")
    endpoint = await _endpoint(org)
    page = await pages.sign_in(org, org.email, f"webhooks/{endpoint}")
    form = page.get_by_role("region", name="What it gets")
    await form.get_by_label("All events").uncheck()
    await expect(form.get_by_role("button", name="Save")).to_be_disabled()
    await form.get_by_role("checkbox", name="quote.*").check()
    await form.get_by_role("checkbox", name="stock.low").check()
    await form.get_by_label("One event after the other").check()
    await form.get_by_label("Headers").fill("x-api-key")
    await form.get_by_label("Address").fill("http://hooks.example.com/")
    await form.get_by_role("button", name="Save").click()
    await expect(form).to_contain_text("Give one header a line")
    await form.get_by_label("Headers").fill("x-api-key: a secret")
    await form.get_by_role("button", name="Save").click()
    field = form.locator(".field", has=page.get_by_label("Address"))
    await expect(field).to_contain_text("https")  # what the API says of it
    await form.get_by_label("Address").fill("https://hooks.example.com/ops")
    await form.get_by_role("button", name="Save").click()
    await expect(form.get_by_text("Saved.")).to_be_visible()
    stored = await _stored(org, endpoint)
    assert (stored["types"], stored["ordered"]) == (["quote.*", "stock.low"], True)
    assert stored["url"] == "https://hooks.example.com/ops"
    assert stored["headers"] == {"x-api-key": "***"}
    await expect(form).to_contain_text("Set: x-api-key")
    secret = page.get_by_role("region", name="Secret")
    await secret.get_by_label("The old secret ends").select_option("after a week")
    await secret.get_by_role("button", name="Rotate").click()
    await expect(secret.locator("code.secret")).to_contain_text("whsec_")
    await expect(secret).to_contain_text("old secret until")
    assert (await _stored(org, endpoint))["previous_secret_until"] is not None
    programs = page.get_by_role("region", name="Check signatures")
    for language, text in (("Python", "hmac.compare_digest"), ("Shell, OpenSSL", "openssl dgst")):
        await programs.get_by_label("Programming language").select_option(language)
        await expect(programs.locator("pre")).to_contain_text(text)
    await org.admin.patch(f"/v1/webhook-endpoints/{endpoint}", {"types": ["asset.*"]})
    await form.get_by_label("Note").fill("to the ERP")
    await form.get_by_role("button", name="Save").click()
    await expect(form.get_by_role("alert")).to_contain_text("Somebody else has changed this")
    assert (await _stored(org, endpoint))["types"] == ["asset.*"]


async def test_machines_and_zones_are_chosen_by_their_names(
    pages: Pages, org: Organization
) -> None:
    trucks = [await made(org, f"Truck {number}") for number in range(40)]
    body = {"name": "Depot", "geometry": square()}
    depot = (await org.admin.post("/v1/zones", body)).json["id"]
    endpoint = await _endpoint(org)
    await org.admin.patch(f"/v1/webhook-endpoints/{endpoint}", {"tags": ["crane"]})
    page = await pages.sign_in(org, org.email, f"webhooks/{endpoint}")
    form = page.get_by_role("region", name="What it gets")
    machines = form.get_by_role("group", name="Machines").first
    await expect(machines.get_by_role("heading")).to_have_text("All machines")
    await expect(machines.get_by_role("checkbox")).to_have_count(30)
    await machines.get_by_role("searchbox").fill("truck 39")
    await machines.get_by_label("Truck 39").check()
    zones = form.get_by_role("group", name="Zones").first
    await zones.get_by_role("searchbox").fill("dep")
    await zones.get_by_label("Depot").check()
    await form.get_by_role("button", name="Save").click()
    await expect(form.get_by_text("Saved.")).to_be_visible()
    stored = await _stored(org, endpoint)
    assert (stored["asset_ids"], stored["zone_ids"]) == ([trucks[39]], [depot])
    assert stored["tags"] == ["crane"]
    await page.reload()
    await expect(machines.get_by_role("heading")).to_have_text("Only 1 machine")
    await expect(machines.get_by_label("Truck 39")).to_be_checked()
    await expect(zones.get_by_role("heading")).to_have_text("Only 1 zone")
    await expect(form).to_contain_text("filters by client or by tag")
    await expect(machines.get_by_role("paragraph")).to_have_text("Truck 39")
    await machines.get_by_label("Truck 39").uncheck()
    await form.get_by_role("button", name="Save").click()
    await expect(form.get_by_text("Saved.")).to_be_visible()
    assert (await _stored(org, endpoint))["asset_ids"] == []


async def test_the_catalogue_shows_an_example_of_each_type(pages: Pages, org: Organization) -> None:
    page = await pages.sign_in(org, org.email, "webhooks")
    catalogue = page.get_by_role("region", name="What events there are")
    types = (await org.admin.get("/v1/event-types", limit=100)).json["data"]
    await expect(catalogue.get_by_role("listitem")).to_have_count(len(types))
    await catalogue.get_by_text("stock.low", exact=True).click()
    await expect(catalogue.locator("details[open] pre")).to_contain_text('"type": "stock.low"')
