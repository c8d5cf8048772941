"""The feed of breaches, which grows by itself and misses nothing."""

from typing import Any

from playwright.async_api import Page, WebSocketRoute, expect

from tests.api.live.positions import made, put
from tests.api.running import Organization, RunningApi
from tests.dashboard.breaches import breach
from tests.dashboard.pages import Pages


def _names(page: Page) -> Any:
    return (
        page.get_by_role("list", name="Breaches").get_by_role("listitem").locator("b:first-child")
    )


async def test_breaches_are_listed_and_come_by_themselves(
    pages: Pages, api: RunningApi, org: Organization, south: Organization
) -> None:
    breach(api, org, "Truck 1")
    page = await pages.sign_in(org, "viewer@example.com", "breaches")
    rows = page.get_by_role("list", name="Breaches").get_by_role("listitem")
    await expect(rows).to_have_count(1)
    await expect(rows.first).to_contain_text("Truck 1 entered Quarry")
    breach(api, org, "<b>Truck</b> 2", transition="exit", late=True, inferred="segment")
    breach(api, south, "Theirs")
    await expect(rows).to_have_count(2)
    await expect(rows.first).to_contain_text("<b>Truck</b> 2 left Quarry")
    await expect(rows.first).to_contain_text("came late")
    await expect(page.get_by_text("Theirs")).to_have_count(0)


async def test_a_breach_leads_to_the_map(pages: Pages, api: RunningApi, org: Organization) -> None:
    asset_id = await made(org, "Truck 7")
    put(api, org, asset_id, 47.0, 8.0)
    breach(api, org, "Truck 7", asset_id=asset_id)
    page = await pages.sign_in(org, org.email, "breaches")
    await page.get_by_role("link", name="On the map").click()
    row = page.get_by_role("button", name="Truck 7")
    await expect(row).to_have_attribute("aria-pressed", "true")


async def test_older_ones_are_read_when_asked_for(
    pages: Pages, api: RunningApi, org: Organization
) -> None:
    for number in range(70):
        breach(api, org, f"Truck {number:02}")
    page = await pages.sign_in(org, org.email, "breaches")
    await expect(_names(page)).to_have_count(50)
    breach(api, org, "Truck 70")
    await expect(_names(page).first).to_have_text("Truck 70")
    await page.get_by_role("button", name="Older ones").click()
    await expect(_names(page)).to_have_text([f"Truck {number:02}" for number in range(70, -1, -1)])


class Cable:
    """The way of the live connection, which can be pulled out."""

    def __init__(self) -> None:
        self._is_in = True
        self._open: list[WebSocketRoute] = []

    async def take(self, socket: WebSocketRoute) -> None:
        if self._is_in:
            socket.connect_to_server()
            self._open.append(socket)
        else:
            await socket.close(code=4013)

    async def pull(self) -> None:
        self._is_in = False
        for socket in self._open:
            await socket.close(code=4013)
        self._open.clear()

    def plug_in(self) -> None:
        self._is_in = True


async def test_a_page_that_was_cut_off_says_so_and_misses_nothing(
    pages: Pages, api: RunningApi, org: Organization
) -> None:
    cable = Cable()
    await pages.context.route_web_socket("**/v1/ws", cable.take)
    breach(api, org, "Truck 1")
    page = await pages.sign_in(org, org.email, "breaches")
    await expect(_names(page)).to_have_text(["Truck 1"])
    breach(api, org, "Truck 2")
    await expect(_names(page)).to_have_text(["Truck 2", "Truck 1"])  # it reads by now
    await cable.pull()
    await expect(page.get_by_text("what you see is not live")).to_be_visible()
    for number in (3, 4):
        breach(api, org, f"Truck {number}")
    cable.plug_in()
    await page.get_by_role("button", name="Try now").click()
    await expect(_names(page)).to_have_text([f"Truck {number}" for number in (4, 3, 2, 1)])
    await expect(page.get_by_text("what you see is not live")).to_have_count(0)
