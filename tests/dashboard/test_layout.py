"""Every page as it looks: wide, dark and on a phone. Nothing overflows, is cut off or has no text,
and axe finds nothing. The pictures are in var/pictures, to be looked at.

Every run sees each page in one of the looks, and `make test-long` in the other two.
"""

import json
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page

from db.core.ids import new_id
from languages.catalogue import say
from languages.language import Language
from telemetry.ids import format_id, parse_id
from tests.api.live.positions import made, put, put_employee
from tests.api.mailbox import Mailbox
from tests.api.punching import employee, phone, show
from tests.api.resources.alerting import store_alert
from tests.api.resources.quoting import LINE, sent
from tests.api.running import Organization, RunningApi
from tests.api.stored import carried, minute, store_refusal, store_unknown, store_visit
from tests.clients.make import NODE_MODULES
from tests.dashboard.breaches import breach
from tests.dashboard.browser import ROOT
from tests.dashboard.pages import Pages, pages_of

PICTURES = ROOT / "var" / "pictures"
LOOKS: dict[str, dict[str, Any]] = {
    "light": {"locale": "en-GB", "color_scheme": "light", "viewport": (1440, 900)},
    "dark": {"locale": "de-DE", "color_scheme": "dark", "viewport": (1440, 900)},
    "phone": {"locale": "de-DE", "color_scheme": "light", "viewport": (390, 844)},
}
PLACES = {
    "map": "",
    "people": "?person={anna}",
    "history": "history",
    "reports": "reports",
    "report-schedules": "report-schedules",
    "report-schedule-form": "report-schedules?report=trips&tag=crane&client=cli_1",
    "zones": "zones",
    "alerts": "alerts",
    "zone": "zones?zone={zone}",
    "zone-form": "zones",
    "zone-import": "zones/import",
    "breaches": "breaches",
    "trackers": "trackers",
    "gateways": "gateways",
    "unknown-devices": "unknown-devices",
    "imports": "imports",
    "organization": "organization",
    "archive": "organization#archive",
    "employees-on-map": "organization#employees-on-map",
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
    "unknown-devices": ["table button[aria-expanded]"],
    "audit": ["summary"],
    "keys": ["select:has([value=chosen])", "table button"],
    "webhooks": ["summary"],
}
CHOSEN = {"own", "chosen"}


async def _fill_in_a_zone(page: Page) -> None:
    """Begin a circle, and open everything that its form may have."""
    await page.locator(".side .button").nth(1).click()
    for choice in (1, 2, 3):
        await page.locator("form select").nth(choice).select_option(index=1)
    await page.locator("form summary").click()
    inputs = page.locator("form input[inputmode=decimal]")
    for place, number in ((1, "47.004"), (2, "8.02")):
        await inputs.nth(place).fill(number)
    await page.locator("form input").first.fill("Kiesgrube")
    await page.wait_for_timeout(600)  # until the API has said what it is


async def _choose_a_file(page: Page) -> None:
    """Choose a file, which is read."""
    geometry = {"type": "Point", "coordinates": [8.01, 47.01]}
    shapes = [geometry, {"type": "LineString", "coordinates": [[8, 47], [8.02, 47]]}, None] * 4
    features = [
        {"type": "Feature", "properties": {"name": f"{'Graben ' * 9}{place}"}, "geometry": shape}
        for place, shape in enumerate(shapes)
    ]
    text = json.dumps({"type": "FeatureCollection", "features": features})
    file: Any = {"name": "Felder.geojson", "mimeType": "text/plain", "buffer": text.encode()}
    await page.locator("input[type=file]").set_input_files(file)


async def _add_a_gateway(page: Page) -> None:
    """Add a gateway, whose address is shown."""
    await page.locator("form input[name=name]").fill("Weiterleitung der Kiesgruben " * 4)
    await page.locator("form select").select_option("tts")
    await page.locator("form button").click()
    await page.locator("code.secret").wait_for()


async def _check_a_file(page: Page) -> None:
    """Check a spreadsheet, whose faults are shown."""
    lines = "".join(f"{'Kiesgrube-' * 6}{place},,nie\n" for place in range(4))
    text = f"external_id,name,year\n{lines}"
    file: Any = {"name": "Maschinen.csv", "mimeType": "text/csv", "buffer": text.encode()}
    await page.locator("input[type=file]").set_input_files(file)
    await page.locator(".card .button").first.click()
    await page.locator(".note li").first.wait_for()


# What is done on a page before it is looked at.
STEPS = {
    "gateways": _add_a_gateway,
    "imports": _check_a_file,
    "zone-form": _fill_in_a_zone,
    "zone-import": _choose_a_file,
}
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
  for (const element of document.querySelectorAll('#root *, main, main *')) {
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


@pytest_asyncio.fixture(loop_scope="session")
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
    ways = {"type": "LineString", "coordinates": [[7.99, 47.0], [8.01, 46.995], [8.0, 47.01]]}
    road = {"name": "Straße", "geometry": ways, "width_m": 80, "kind": "jobsite"}
    assert (await org.admin.post("/v1/zones", road)).status == 201
    for number in range(8):
        name = f"Truck {number:02}" if number else "مرحبا " * 30
        await store_alert(api, org, asset_name=name, zone_name="Quarry" if number else "x" * 200)
        breach(api, org, name, late=number == 2, inferred="segment" if number == 3 else None)
    for host in ("hooks", "a-very-long-name-of-a-host-that-does-not-fit-on-a-phone"):
        body = {"url": f"https://{host}.example.com/{'x' * 60}", "types": ["asset.*", "quote.sent"]}
        await org.admin.post("/v1/webhook-endpoints", body)
    await org.admin.post("/v1/users", {"email": f"{'n' * 50}@example.com", "role": "technician"})
    await org.admin.post("/v1/api-keys", {"name": "Nightly export", "scopes": ["assets:read"]})
    await org.admin.post("/v1/api-keys", {"name": "n" * 80, "expires_at": "2099-01-01T00:00:00Z"})
    for kind in ("traccar", "chirpstack"):
        made_id = (await org.admin.post("/v1/gateways", {"name": kind, "kind": kind})).json["id"]
    assert (await org.admin.post(f"/v1/gateways/{made_id}/revoke", {})).status == 200
    await org.admin.post("/v1/trackers", {"name": "Sensor", "external_id": "70B3D57ED005" * 9})
    tracker = (await carried(org)).tracker_id
    store_unknown(api, org, "70B3D57ED" * 7, gateway_id=made_id, place=(47.05, -108.3093))
    store_unknown(api, org, tracker_id=tracker, reason="wrong_secret")
    for number, reason in enumerate(("rate", "conflict", "undecodable")):
        payload = f'[{{"lat": {number}, "note": "{"x" * 300}"}}]'.encode()
        store_refusal(api, org, tracker, payload, minute(number), reason=reason)
    report = {"name": "Strecken der Kräne " * 4, "report": "distance", "cadence": "monthly"}
    for number in range(3):
        enabled = {"enabled": number != 2}
        assert (await org.admin.post("/v1/report-schedules", report | enabled)).status == 201
    api.sql(
        "UPDATE report_schedule_runs SET period_from = '2026-10-01', period_to = '2026-10-31',"
        " left_out = ARRAY[schedule_id], last_error = %s"
        " WHERE org_id = %s AND next_run_at IS NOT NULL",
        "the mail server said: 550 5.1.1 no such mailbox " * 3,
        org.org_id,
    )
    api.sql(
        "INSERT INTO archived_days VALUES (%s, '2026-02-27', gen_random_uuid(), 5000000, 90000000,"
        " sha256('x'), sha256('x'), now())",
        org.org_id,
    )
    api.sql("INSERT INTO archive_failures VALUES (%s, 3, '2026-03-02', now())", org.org_id)
    rules = {"automatic_breaks": [{"after_s": 21_600, "break_s": 1_800}]}
    body = {"address": "Hafenstrasse 1\n8000 Zürich", "timesheet_rules": rules}
    await org.admin.patch("/v1/organization", body)
    return org


@pytest_asyncio.fixture(loop_scope="session")
async def endpoint(busy: Organization) -> str:
    """An endpoint with a delivery."""
    made_id = (await busy.admin.get("/v1/webhook-endpoints")).json["data"][0]["id"]
    test = {"type": "asset.geofence_breach"}
    await busy.admin.post(f"/v1/webhook-endpoints/{made_id}/test", test)
    return made_id


@pytest_asyncio.fixture(loop_scope="session")
async def anna(api: RunningApi, busy: Organization) -> str:
    """An employee with a phone; others move, or are silent."""
    await show(busy)
    names = ("Anna Keller", "Boris Frei", "محمد " * 30, "Clara mit einem sehr langen Namen " * 5)
    people = [await employee(busy, name=name) for name in names]
    phones = [await phone(busy, each) for each in people]
    for number, (each, tracker) in enumerate(zip(people, phones, strict=True)):
        put_employee(api, busy, each, 47.002 + number * 0.003, 8.009, tracker)
    change = "UPDATE latest_employee_positions SET {} WHERE employee_id = %s RETURNING 1"
    changes = ("accuracy_m = 12", "speed_mps = 4", "time = now() - interval '9 minutes'")
    for each, what in zip(people, changes, strict=False):
        api.sql(change.format(what), parse_id("emp", each))
    await busy.admin.patch(f"/v1/trackers/{phones[0]}", {"name": "Telefon 7"})
    return people[0]


@pytest_asyncio.fixture(loop_scope="session")
async def zone(api: RunningApi, busy: Organization) -> str:
    """A zone with versions and visits."""
    made = (await busy.admin.get("/v1/zones")).json["data"][-1]["id"]
    hours = {
        "timezone": "Europe/Zurich",
        "windows": [{"days": ["mon"], "from": "18:00", "to": "06:00"}],
    }
    rules = {"schedule": hours, "speed_limit_mps": 13.9, "alert_on": ["exit"]}
    for change in (rules, {"assets": {"tags": ["kran", "gemietet"]}}):
        assert (await busy.admin.patch(f"/v1/zones/{made}", change)).status == 200
    now = datetime.now(UTC)
    for name, left in (("Bagger", None), ("Kran", now), ("مرحبا " * 30, now)):
        who = await carried(busy, name)
        store_visit(api, busy, who, made, now - timedelta(hours=2), left)
    return made


@dataclass(frozen=True)
class Look:
    """A person who sees the pages in one way."""

    person: Pages
    name: str
    is_long: bool

    def places(self, titles: Iterable[str]) -> list[str]:
        """Those of the pages that are seen so in every run, or those that take another minute."""
        own, looks = list(LOOKS).index(self.name), len(LOOKS)
        return [
            title
            for place, title in enumerate(titles)
            if (place % looks == own) is not self.is_long
        ]


@pytest_asyncio.fixture(
    loop_scope="session",
    params=[
        *(pytest.param((name, False), id=name) for name in LOOKS),
        *(
            pytest.param((name, True), id=f"{name}-others", marks=pytest.mark.long)
            for name in LOOKS
        ),
    ],
)
async def look(
    request: pytest.FixtureRequest, browser: Browser, api: RunningApi
) -> AsyncIterator[Look]:
    """A person for each look, for each part of the pages."""
    name, is_long = request.param
    options = dict(LOOKS[name])
    width, height = options.pop("viewport")
    size: Any = {"width": width, "height": height}
    context = await browser.new_context(**options, viewport=size)
    person = await pages_of(context, api.url)
    yield Look(person, name, is_long)
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


async def test_pages_of_who_is_signed_in(
    look: Look, busy: Organization, endpoint: str, zone: str, anna: str
) -> None:
    person = look.person
    person.expected.append("422")  # a zone without machines, as its form is looked at
    page = await person.sign_in(busy, busy.email)
    faults: dict[str, list[str]] = {}
    for title in look.places(PLACES):
        place = PLACES[title].format(endpoint=endpoint, zone=zone, anna=anna)
        await page.goto(f"{person.url}/app/{place}")
        await page.locator("main h1, main .asset-list button").first.wait_for()
        await _open(page, title)
        if title in STEPS:
            await STEPS[title](page)
        faults[title] = await _look_at(page, f"{title}-{look.name}")
    assert faults == {title: [] for title in look.places(PLACES)}


@pytest.mark.parametrize(
    "look",
    [
        pytest.param((name, False), id=name, marks=[pytest.mark.long] * (name != "phone"))
        for name in LOOKS
    ],
    indirect=True,
)
async def test_the_map_of_who_has_nothing_yet(look: Look, org: Organization) -> None:
    page = await look.person.sign_in(org, org.email)
    await page.reload()  # without what was said of signing in
    await page.locator(".steps").wait_for()
    assert await _look_at(page, f"first-steps-{look.name}") == []


async def test_pages_of_strangers(
    look: Look, api: RunningApi, busy: Organization, mailbox: Mailbox
) -> None:
    person, places = look.person, look.places(["quote", "photos", *STRANGERS_PLACES])
    faults: dict[str, list[str]] = {}
    language: Language = "en" if look.name == "light" else "de"
    statement = "UPDATE organizations SET language = %s WHERE org_id = %s"
    api.sql(statement, language, busy.org_id)
    page = await person.context.new_page()
    if "quote" in places:
        line = LINE | {"description": "Excavation " * 30}
        _, path = await sent(busy, mailbox, lines=[LINE, line], terms="Within 30 days.")
        await page.goto(person.url + path)
        assert await page.locator(f"html[lang={language}]").count() == 1
        faults["quote"] = await _look_at(page, f"quote-{look.name}")
        await page.get_by_label(say(language, "page-signing-name")).fill("Ann Lee")
        await page.get_by_role("checkbox").check()
        await page.get_by_role("button", name=say(language, "page-accept-button")).click()
        await page.get_by_role("status").wait_for()
        faults["quote"] += await _look_at(page, f"quote-accepted-{look.name}")
    if "photos" in places:
        await page.goto(f"{person.url}/inspection-photos/{format_id('insp', new_id())}")
        await page.get_by_text(say(language, "photos-asked")).wait_for()
        faults["photos"] = await _look_at(page, f"photos-{look.name}")
    await page.close()
    for title in places:
        if title in STRANGERS_PLACES:
            page = await person.open(STRANGERS_PLACES[title])
            await page.locator("h1").wait_for()
            faults[title] = await _look_at(page, f"{title}-{look.name}")
    assert faults == {title: [] for title in places}
