"""GPS events as files, through HTTP."""

import asyncio
import csv
import io
import json
from datetime import datetime
from typing import Any
from xml.etree import ElementTree

import aiohttp
import pytest
from pyarrow import parquet

from api.documents.file_forms import FIX_FORMS
from api.resources import exports
from telemetry.tracks import TrackFormat, read_track
from tests.api.running import Answer, Organization, RunningApi
from tests.api.stored import Carried, carried, minute, store_fixes, text

pytestmark = [pytest.mark.own_api, pytest.mark.every_python]

PATH = "/v1/gps-events"


async def exported(org: Organization, media_type: str, **parameters: Any) -> Answer:
    answer = await org.viewer.get(PATH, {"Accept": media_type}, **parameters)
    assert answer.status == 200, answer.content
    return answer


async def a_truck(api: RunningApi, org: Organization) -> Carried:
    who = await carried(org)
    columns: dict[str, Any] = {"altitude_m": 412.5, "satellites": 9, "ignition": True}
    attributes = json.dumps({"note": 'a "tall", one', "sum": "=1+1"})
    times = [minute(number) for number in range(5)]
    store_fixes(api, org, who.tracker_id, times, attributes=attributes, **columns)
    return who


@pytest.fixture(params=[1, 2, 1_000])
def rows_of_a_page(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.resources.gps_events.PAGE_ROWS", request.param)


@pytest.mark.usefixtures("rows_of_a_page")
async def test_a_csv_has_what_json_has(api: RunningApi, north: Organization) -> None:
    who = await a_truck(api, north)
    listed = await north.viewer.get(PATH, asset_id=who.asset_id, sort="time")
    answer = await exported(north, "text/csv", asset_id=who.asset_id)
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8; header=present"
    assert answer.headers["Content-Disposition"] == 'attachment; filename="gps-events.csv"'
    rows = list(csv.DictReader(io.StringIO(answer.content.decode(), newline="")))
    assert [row["time"] for row in rows] == [text(minute(number)) for number in range(5)]
    for row, item in zip(rows, listed.json["data"], strict=True):
        assert list(row) == list(item)
        assert json.loads(row.pop("attributes")) == item.pop("attributes")
        assert row == {name: _cell(value) for name, value in item.items()}


def _cell(value: object) -> str:
    match value:
        case None:
            return ""
        case bool():
            return str(value).lower()
    return str(value)


@pytest.mark.usefixtures("rows_of_a_page")
async def test_lines_of_json_are_the_rows_of_the_list(api: RunningApi, north: Organization) -> None:
    who = await a_truck(api, north)
    listed = await north.viewer.get(PATH, asset_id=who.asset_id)
    asked = {"asset_id": who.asset_id, "sort": "-time"}
    answer = await exported(north, "application/x-ndjson", **asked)
    assert [json.loads(line) for line in answer.content.splitlines()] == listed.json["data"]


@pytest.mark.usefixtures("rows_of_a_page")
@pytest.mark.parametrize(
    ("media_type", "form"),
    [
        ("application/gpx+xml", "gpx"),
        ("application/vnd.google-earth.kml+xml", "kml"),
        ("application/geo+json", "geojson"),
        ("text/csv", "csv"),
    ],
)
async def test_a_file_can_be_uploaded_again(
    api: RunningApi, north: Organization, media_type: str, form: TrackFormat
) -> None:
    who = await a_truck(api, north)
    columns = {"fields": "time,lat,lon,altitude_m"} if form == "csv" else {}
    answer = await exported(north, media_type, asset_id=who.asset_id, **columns)
    points = read_track(form, answer.content).points.rows
    times = [minute(number).timestamp() for number in range(5)]
    assert (points["time_us"] / 1_000_000).tolist() == times
    assert set(zip(points["lat"], points["lon"], strict=True)) == {(52.5, 13.4)}
    assert set(points["altitude_m"]) == {412.5}


@pytest.mark.usefixtures("rows_of_a_page")
async def test_parquet_has_columns_of_their_types(api: RunningApi, north: Organization) -> None:
    who = await a_truck(api, north)
    listed = await north.viewer.get(PATH, asset_id=who.asset_id, sort="time")
    answer = await exported(north, "application/vnd.apache.parquet", asset_id=who.asset_id)
    table = parquet.read_table(io.BytesIO(answer.content))
    assert {str(table.schema.field(name).type) for name in ("time", "received_at")} == {
        "timestamp[us, tz=UTC]"
    }
    assert str(table.schema.field("lat").type) == "double"
    for row, item in zip(table.to_pylist(), listed.json["data"], strict=True):
        assert row.pop("time") == datetime.fromisoformat(item.pop("time"))
        assert row.pop("received_at") == datetime.fromisoformat(item.pop("received_at"))
        assert json.loads(row.pop("attributes")) == item.pop("attributes")
        assert row == item


@pytest.mark.usefixtures("rows_of_a_page")
async def test_kml_has_a_place_with_its_time_for_each_fix(
    api: RunningApi, north: Organization
) -> None:
    who = await a_truck(api, north)
    answer = await exported(north, "application/vnd.google-earth.kml+xml", asset_id=who.asset_id)
    name = "{http://www.opengis.net/kml/2.2}"
    root = ElementTree.fromstring(answer.content)
    assert [each.text for each in root.iter(f"{name}when")] == [
        text(minute(number)) for number in range(5)
    ]
    assert {each.text for each in root.iter(f"{name}coordinates")} == {"13.4,52.5,412.5"}


async def test_a_file_of_nothing_is_whole(api: RunningApi, north: Organization) -> None:
    who = await carried(north)
    answer = await exported(north, "application/geo+json", asset_id=who.asset_id)
    assert json.loads(answer.content) == {"type": "FeatureCollection", "features": []}
    answer = await exported(north, "application/vnd.apache.parquet", asset_id=who.asset_id)
    assert parquet.read_table(io.BytesIO(answer.content)).num_rows == 0
    answer = await exported(north, "application/gpx+xml", asset_id=who.asset_id)
    assert answer.content.endswith(b"<trk><trkseg>\n</trkseg></trk></gpx>\n")


async def test_columns_may_be_chosen(api: RunningApi, north: Organization) -> None:
    who = await a_truck(api, north)
    asked = {"asset_id": who.asset_id, "fields": "time,lat"}
    answer = await exported(north, "text/csv", **asked)
    assert answer.content.startswith(b"time,lat\r\n2026-03-01T12:00:00Z,52.5\r\n")
    refused = await north.viewer.get(PATH, {"Accept": "application/gpx+xml"}, **asked)
    assert refused.status == 400
    assert refused.json["errors"][0]["message"] == "This form of file needs lon."


@pytest.mark.parametrize("name", ["limit", "offset", "total"])
async def test_a_file_has_no_pages(north: Organization, name: str) -> None:
    value = {"total": "none", "cursor": "aGVyZQ"}.get(name, "1")
    answer = await north.viewer.get(PATH, {"Accept": "text/csv"}, **{name: value})
    assert answer.status == 400
    assert answer.json["errors"][0]["message"] == f"A file has no pages: leave out {name}."


async def test_a_file_has_nothing_of_another_organization(
    api: RunningApi, north: Organization, south: Organization
) -> None:
    who = await a_truck(api, south)
    for media_type in FIX_FORMS:
        answer = await exported(north, media_type)
        assert who.tracker_id.encode() not in answer.content
        refused = await north.viewer.get(PATH, {"Accept": media_type}, asset_id=who.asset_id)
        assert refused.status == 404


async def _open(api: RunningApi, org: Organization, session: aiohttp.ClientSession) -> Any:
    headers = {"Authorization": f"Bearer {org.viewer.token}", "Accept": "application/x-ndjson"}
    return await session.get(f"{api.url}{PATH}", headers=headers)


async def test_two_files_at_once_and_those_who_do_not_read_are_cut_off(
    api: RunningApi, north: Organization, south: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exports, "LEAST_PACE_S", 1.0)
    who = await carried(north)
    _store_many(api, north, who)
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, read_bufsize=1024) as session:
        unread = [await _open(api, north, session) for _ in range(2)]
        third = await _open(api, north, session)
        assert (third.status, third.headers["Retry-After"]) == (429, "1")
        await exported(south, "application/x-ndjson")
        begun = 0
        async with asyncio.timeout(20):
            while begun < 2:  # as many as there were: both have ended
                begun += (await _open(api, north, session)).status == 200
                await asyncio.sleep(0.1)
        for answer in unread:
            with pytest.raises(aiohttp.ClientPayloadError):
                await answer.read()


def _store_many(api: RunningApi, org: Organization, who: Carried) -> None:
    api.sql(
        "INSERT INTO gps_events (org_id, tracker_id, time, seq, received_at, lat, lon)"
        " SELECT %s, %s, %s + n * interval '1 second', 0, now(), 1, 1"
        " FROM generate_series(1, 100000) AS n",
        org.org_id,
        who.tracker,
        minute(0),
    )
