"""Zones from files and into files."""

import json
from pathlib import Path
from typing import Any

from playwright.async_api import Page, Route, expect

from tests.api.running import Organization
from tests.api.shapes import BOW_TIE, square
from tests.dashboard.pages import Pages

KML = """<?xml version="1.0"?><kml xmlns="http://www.opengis.net/kml/2.2"><Document>
<Placemark><name>Gate &lt;1&gt;</name>
  <Point><coordinates>8.31,47.05,0</coordinates></Point></Placemark>
<Placemark><name>Way</name>
  <LineString><coordinates>8.3,47 8.4,47</coordinates></LineString></Placemark>
<Placemark><name>Photo</name></Placemark></Document></kml>"""


async def _give(page: Page, name: str, text: str) -> None:
    file: Any = {"name": name, "mimeType": "text/plain", "buffer": text.encode()}
    await page.get_by_label("A file with zones").set_input_files(file)


def _features(*shapes: tuple[str, dict[str, Any]]) -> str:
    features = [
        {"type": "Feature", "properties": {"name": name}, "geometry": geometry}
        for name, geometry in shapes
    ]
    return json.dumps({"type": "FeatureCollection", "features": features})


async def _stored(org: Organization) -> dict[str, dict[str, Any]]:
    rows = (await org.admin.get("/v1/zones")).json["data"]
    return {row["name"]: row for row in rows}


async def test_zones_of_a_file_are_shown_and_made(pages: Pages, org: Organization) -> None:
    pages.expected.append("422")
    page = await pages.sign_in(org, "dispatcher@example.com", "zones")
    await page.get_by_role("link", name="Import zones").click()
    await _give(page, "big.kml", "x" * (5 * 1024 * 1024 + 1))
    await expect(page.get_by_role("alert")).to_contain_text("larger than 5 MB")
    await _give(page, "list.csv", "name;lat;lon")
    await expect(page.get_by_role("alert")).to_contain_text("no GeoJSON, KML or GPX")
    await _give(page, "sites.kml", KML)
    rows = page.get_by_role("table").locator("tbody tr")
    await expect(rows).to_have_count(3)
    await expect(rows.nth(0)).to_contain_text("Gate <1>")
    await expect(rows.nth(2)).to_contain_text("no shape that can be a zone")
    await page.get_by_label("Radius").fill("80")
    await page.get_by_label("Width").fill("12")
    await page.get_by_label("Kind").select_option("yard")
    await page.get_by_role("button", name="Make 2 zones").click()
    await expect(page.get_by_text("2 zones were made.")).to_be_visible()
    await expect(rows.nth(0)).to_contain_text("Made")
    stored = await _stored(org)
    gate, way = stored["Gate <1>"], stored["Way"]
    assert (gate["geometry"]["coordinates"], gate["radius_m"], gate["kind"]) == (
        *([8.31, 47.05], 80),
        "yard",
    )
    assert (way["geometry"]["type"], way["width_m"]) == ("LineString", 12)
    await _give(page, "more.geojson", _features(("Knot", BOW_TIE), ("Field", square(8, 47))))
    await page.get_by_role("button", name="Make 2 zones").click()
    await expect(rows.nth(0)).to_contain_text("cross")
    assert len(await _stored(org)) == 2
    await page.get_by_role("button", name="Make 1 zone").click()  # the knot is left out
    await expect(page.get_by_text("1 zone was made.")).to_be_visible()
    assert (await _stored(org))["Field"]["geometry"] == square(8, 47)


async def test_a_lost_answer_makes_nothing_twice(pages: Pages, org: Organization) -> None:
    pages.expected.append("net::ERR_FAILED")
    page = await pages.sign_in(org, "dispatcher@example.com", "zones/import")
    keys: list[str | None] = []

    async def lose(route: Route) -> None:
        keys.append(await route.request.header_value("Idempotency-Key"))
        answer = await route.fetch()  # it is done, and nobody hears of it
        assert answer.status == 201
        await route.abort()

    await page.route("**/v1/zones/batch", lose, times=1)
    await _give(page, "fields.geojson", _features(("Field", square(8, 47))))
    await page.get_by_role("button", name="Make 1 zone").click()
    await expect(page.get_by_role("alert")).to_contain_text("The server cannot be reached")
    await page.get_by_role("button", name="Make 1 zone").click()
    await expect(page.get_by_text("1 zone was made.")).to_be_visible()
    assert keys != [None]
    assert len((await org.admin.get("/v1/zones")).json["data"]) == 1
    await _give(page, "fields.geojson", _features(("Field", square(8, 47))))
    await page.get_by_role("button", name="Make 1 zone").click()  # another one, and meant to be
    await expect(page.get_by_text("1 zone was made.")).to_be_visible()
    assert len((await org.admin.get("/v1/zones")).json["data"]) == 2


async def test_zones_are_saved_and_read_again(
    pages: Pages, north: Organization, south: Organization, tmp_path: Path
) -> None:
    hours = {"timezone": "UTC", "windows": [{"days": ["mon"], "from": "07:00", "to": "18:00"}]}
    shapes: list[dict[str, Any]] = [
        {"geometry": {"type": "Point", "coordinates": [8.0, 47.0]}, "radius_m": 120.5},
        {"geometry": {"type": "LineString", "coordinates": [[8, 47], [8.1, 47]]}, "width_m": 9},
        {"geometry": square(9, 47), "speed_limit_mps": 13.9, "schedule": hours},
    ]
    for number, shape in enumerate(shapes):
        name = {"name": f"Zone {number} & more", "kind": "jobsite"}
        assert (await north.admin.post("/v1/zones", name | shape)).status == 201
    page = await pages.sign_in(north, "viewer@example.com", "zones")
    for kind, ending in (("GeoJSON", "geojson"), ("KML", "kml")):
        async with page.expect_download() as download:
            await page.get_by_role("button", name=f"Save as {kind}").click()
        await (await download.value).save_as(tmp_path / f"zones.{ending}")
    await page.get_by_role("button", name="Sign out").click()
    page = await pages.sign_in(south, "dispatcher@example.com", "zones/import")
    wanted = await _stored(north)
    same = ("kind", "geometry", "radius_m", "width_m", "speed_limit_mps", "schedule")
    for ending, kept in (("geojson", same), ("kml", same[:4])):
        await _give(page, f"zones.{ending}", (tmp_path / f"zones.{ending}").read_text())
        await page.get_by_role("button", name="Make 3 zones").click()
        await expect(page.get_by_text("3 zones were made.")).to_be_visible()
        made = await _stored(south)
        for name, zone in wanted.items():
            assert {each: made[name][each] for each in kept} == {each: zone[each] for each in kept}
        for zone in made.values():
            assert (await south.admin.delete(f"/v1/zones/{zone['id']}")).status == 204
