"""Every page as it looks: wide, dark and on a phone. Nothing overflows, is cut off or has no text,
and axe finds nothing. The pictures are in var/pictures, to be looked at.
"""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from playwright.async_api import Browser, Page

from tests.api.live.positions import made, put
from tests.api.running import Organization, RunningApi
from tests.api.stored import carried, minute, store_refusal
from tests.clients.make import NODE_MODULES
from tests.dashboard.breaches import breach
from tests.dashboard.browser import ROOT
from tests.dashboard.pages import pages_of

PICTURES = ROOT / "var" / "pictures"
LOOKS: dict[str, dict[str, Any]] = {
    "light": {"locale": "en-GB", "color_scheme": "light", "viewport": (1440, 900)},
    "dark": {"locale": "de-DE", "color_scheme": "dark", "viewport": (1440, 900)},
    "phone": {"locale": "de-DE", "color_scheme": "light", "viewport": (390, 844)},
}
PLACES = {
    "map": "",
    "history": "history",
    "zones": "zones",
    "breaches": "breaches",
    "trackers": "trackers",
    "organization": "organization",
    "quarantine": "quarantine",
    "audit": "audit",
    "webhooks": "webhooks",
    "endpoint": "webhooks/{endpoint}",
    "users": "users",
    "keys": "keys",
    "nothing": "no-such-page",
}
# What of a page is opened before it is looked at: rows, details, parts of forms.
OPENED = {
    "endpoint": [".card table button"],
    "organization": ["select:has([value=own])"],
    "quarantine": ["table button"],
    "audit": ["summary"],
    "keys": ["select:has([value=chosen])", "table button"],
    "webhooks": ["summary"],
}
CHOSEN = {"own", "chosen"}
STRANGERS_PLACES = {
    "sign-in": "sign-in",
    "forgot-password": "forgot-password",
    "invitation": "invitation#token=opsl_x",
    "broken-link": "password-reset",
}
# What is wider than its frame, but for what scrolls or ends in an ellipsis; text that is the name
# of a text; and what of the document lies beside the window.
_FAULTS = """() => {
  const faults = []
  const wide = document.documentElement.scrollWidth - window.innerWidth
  if (wide > 0) faults.push(`the page is ${wide} px too wide`)
  const main = document.querySelector('main')
  if (main && main.scrollWidth > main.clientWidth) faults.push('the content is too wide')
  for (const element of document.querySelectorAll('#root *')) {
    const style = getComputedStyle(element)
    const isCut = element.scrollWidth > element.clientWidth + 1 && style.overflowX === 'hidden'
    if (isCut && style.textOverflow !== 'ellipsis' && !element.closest('.unseen, .map')) {
      faults.push(`cut off: ${element.outerHTML.slice(0, 120)}`)
    }
    for (const node of element.childNodes) {
      const text = node.nodeType === Node.TEXT_NODE ? node.textContent.trim() : ''
      const isName = /^[a-z]+(-[a-z]+)+$/.test(text) && !element.closest('code')
      if (isName) faults.push(`no text: ${text}`)
    }
  }
  return faults
}"""
_AXE = """async () => {
  const rules = ['wcag2a', 'wcag2aa', 'wcag21aa', 'best-practice']
  const found = await axe.run(document, { runOnly: rules })
  return found.violations.map(({ id, nodes }) => `${id}: ${nodes.map((one) => one.html).join(' ')}`)
}"""


@pytest.fixture
async def busy(api: RunningApi) -> Organization:
    """An organization that has something on every page."""
    org = api.organization("Müller Tiefbau")
    for number in range(12):
        asset_id = await made(org, f"Truck {number:02}")
        put(api, org, asset_id, 47.0 + number % 4 * 0.004, 8.0 + number // 4 * 0.006)
    await made(org, "Bagger mit einem Namen, der für jede Liste viel zu lang ist " * 3)
    circle = {"type": "Point", "coordinates": [8.004, 47.004]}
    zone = {"name": "Quarry", "geometry": circle, "radius_m": 300}
    assert (await org.admin.post("/v1/zones", zone)).status == 201
    for number in range(8):
        name = f"Truck {number:02}" if number else "مرحبا " * 30
        breach(api, org, name, late=number == 2, inferred="segment" if number == 3 else None)
    for host in ("hooks", "a-very-long-name-of-a-host-that-does-not-fit-on-a-phone"):
        body = {"url": f"https://{host}.example.com/{'x' * 60}", "types": ["asset.*", "quote.sent"]}
        await org.admin.post("/v1/webhook-endpoints", body)
    await org.admin.post("/v1/users", {"email": f"{'n' * 50}@example.com", "role": "technician"})
    await org.admin.post("/v1/api-keys", {"name": "Nightly export", "scopes": ["assets:read"]})
    await org.admin.post("/v1/api-keys", {"name": "n" * 80, "expires_at": "2099-01-01T00:00:00Z"})
    tracker = (await carried(org)).tracker_id
    for number, reason in enumerate(("rate", "conflict", "undecodable")):
        payload = f'[{{"lat": {number}, "note": "{"x" * 300}"}}]'.encode()
        store_refusal(api, org, tracker, payload, minute(number), reason=reason)
    rules = {"automatic_breaks": [{"after_s": 21_600, "break_s": 1_800}]}
    body = {"address": "Hafenstrasse 1\n8000 Zürich", "timesheet_rules": rules}
    await org.admin.patch("/v1/organization", body)
    return org


@pytest.fixture
async def endpoint(busy: Organization) -> str:
    """An endpoint with a delivery."""
    made_id = (await busy.admin.get("/v1/webhook-endpoints")).json["data"][0]["id"]
    test = {"type": "asset.geofence_breach"}
    await busy.admin.post(f"/v1/webhook-endpoints/{made_id}/test", test)
    return made_id


@pytest.fixture(params=LOOKS)
async def look(
    request: pytest.FixtureRequest, browser: Browser, api: RunningApi
) -> AsyncIterator[Any]:
    """A person who sees the pages in one way."""
    options = dict(LOOKS[request.param])
    width, height = options.pop("viewport")
    size: Any = {"width": width, "height": height}
    context = await browser.new_context(**options, viewport=size)
    person = await pages_of(context, api.url)
    yield person, request.param
    await person.check()


async def _open(page: Page, title: str) -> None:
    for selector in OPENED.get(title, ()):
        part = page.locator(selector).first
        await part.wait_for()
        if selector.startswith("select"):
            (value,) = [each for each in CHOSEN if f"value={each}" in selector]
            await part.select_option(value)
        else:
            await part.click()


async def _look_at(page: Page, name: str) -> list[str]:
    await page.wait_for_load_state("networkidle")
    if await page.locator(".map").count():
        await page.locator(".map[data-state=drawn]").wait_for()
    await page.wait_for_timeout(300)  # what is drawn after the last answer
    PICTURES.mkdir(parents=True, exist_ok=True)
    await page.screenshot(path=PICTURES / f"{name}.png")
    await page.evaluate((NODE_MODULES / "axe-core" / "axe.min.js").read_text())
    return await page.evaluate(_FAULTS) + await page.evaluate(_AXE)


async def test_pages_of_who_is_signed_in(look: Any, busy: Organization, endpoint: str) -> None:
    person, name = look
    page = await person.sign_in(busy, busy.email)
    faults: dict[str, list[str]] = {}
    for title, place in PLACES.items():
        await page.goto(f"{person.url}/app/{place.format(endpoint=endpoint)}")
        await page.locator("main h1, main .asset-list button").first.wait_for()
        await _open(page, title)
        faults[title] = await _look_at(page, f"{title}-{name}")
    assert faults == {title: [] for title in PLACES}


async def test_pages_of_strangers(look: Any) -> None:
    person, name = look
    faults: dict[str, list[str]] = {}
    for title, place in STRANGERS_PLACES.items():
        page = await person.open(place)
        await page.locator("h1").wait_for()
        faults[title] = await _look_at(page, f"{title}-{name}")
    assert faults == {title: [] for title in STRANGERS_PLACES}
