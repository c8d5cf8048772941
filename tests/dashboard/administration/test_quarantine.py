"""Rejected messages on their page: found, looked at, released and removed."""

from playwright.async_api import Route, expect

from tests.api.running import Organization, RunningApi
from tests.api.stored import carried, minute, store_refusal
from tests.dashboard.pages import Pages

HOSTILE = b'[{"lat": "<img src=x onerror=alert(1)>"}]'


async def test_messages_are_found_read_released_and_removed(
    pages: Pages, api: RunningApi, org: Organization, south: Organization
) -> None:
    tracker = (await carried(org)).tracker_id
    readable = store_refusal(api, org, tracker, HOSTILE, minute(9), positions=[0])
    rate = [store_refusal(api, org, tracker, b"{}", minute(n), reason="rate") for n in range(3)]
    store_refusal(api, org, tracker, None, minute(5), reason="rate")
    theirs = (await carried(south)).tracker_id
    store_refusal(api, south, theirs, b"theirs", minute(1), reason="rate")
    page = await pages.sign_in(org, "dispatcher@example.com", "quarantine")
    rows = page.get_by_role("table").get_by_role("row")
    await expect(rows).to_have_count(6)  # with the titles
    await rows.nth(1).get_by_role("button", name="Message").click()
    message = page.get_by_role("region", name="Message")
    await expect(message.locator("pre")).to_have_text(HOSTILE.decode())
    await expect(message).to_contain_text("not in the format")
    await expect(page.locator("main img")).to_have_count(0)  # it is text
    await rows.nth(1).get_by_role("button", name="Message").click()
    await page.get_by_label("Reason").select_option("rate")
    await expect(rows).to_have_count(5)
    await expect(page.get_by_text("sent more than it may")).to_be_visible()
    await page.get_by_role("button", name="Release all that fit").click()
    await expect(page.get_by_text("3 messages were released.")).to_be_visible()
    await expect(page.get_by_text("waits to be judged")).to_have_count(3)
    await expect(page.get_by_text("Too large to be kept")).to_be_visible()
    for row_id in rate:
        found = (await org.admin.get(f"/v1/quarantine/{row_id}")).json
        assert found["released_at"] is not None
    await page.get_by_label("Reason").select_option("undecodable")
    await expect(rows).to_have_count(2)
    await rows.nth(1).get_by_role("button", name="Remove").click()
    await expect(page.get_by_text("No message fits")).to_be_visible()
    assert (await org.admin.get(f"/v1/quarantine/{readable}")).status == 404
    assert len((await south.admin.get("/v1/quarantine")).json["data"]) == 1
    await page.goto(f"{pages.url}/app/quarantine?from=2099-01-01T00:00")  # the address keeps it
    await expect(page.get_by_text("No message fits")).to_be_visible()


async def test_chosen_messages_and_all_of_a_reason_are_released(
    pages: Pages, api: RunningApi, org: Organization
) -> None:
    pages.expected += ["409 (Conflict)", "503 (Service"]
    tracker = (await carried(org)).tracker_id
    many = [
        store_refusal(api, org, tracker, b"{}", minute(number), reason="rate")
        for number in range(105)
    ]
    other = store_refusal(api, org, tracker, b"{}", minute(200), reason="future")
    page = await pages.sign_in(org, "dispatcher@example.com", "quarantine?reason=rate")
    boxes = page.get_by_role("table").get_by_role("checkbox")
    await expect(boxes).to_have_count(50)
    await expect(page.get_by_role("button", name="chosen")).to_have_count(0)
    await boxes.nth(0).check()
    await boxes.nth(3).check()
    await boxes.nth(4).check()
    await boxes.nth(4).uncheck()
    # Somebody else was there first.
    assert (await org.admin.post(f"/v1/quarantine/{many[-1]}/release", {})).status == 202
    await page.get_by_role("button", name="Release the 2 that are chosen").click()
    await expect(page.get_by_text("1 message was released.")).to_be_visible()
    await expect(page.get_by_text("1 was left as it is: It waits")).to_be_visible()
    await expect(boxes).to_have_count(48)
    assert await _released(org, many) == {many[-1], many[-4]}

    async def fail(route: Route) -> None:
        await route.fulfill(status=503, json={"code": "unavailable", "detail": ""})

    await page.route(f"**/{many[50]}/release", fail, times=1)
    await page.get_by_role("button", name="Release all that fit").click()
    await expect(page.get_by_role("alert")).to_contain_text("cannot answer just now")
    assert await _released(org, many) == {*many[51:]}
    await page.get_by_role("button", name="Release all that fit").click()
    await expect(page.get_by_text("51 messages were released.")).to_be_visible(timeout=20_000)
    assert await _released(org, many) == {*many}
    assert await _released(org, [other]) == set()


async def _released(org: Organization, ids: list[str]) -> set[str]:
    rows = (await org.admin.get("/v1/quarantine", limit=1000)).json["data"]
    return {row["id"] for row in rows if row["id"] in ids and row["released_at"] is not None}
