"""Visits, trips and stops as files, through HTTP."""

import csv
import io
import json
from typing import Any

import pytest
from pyarrow import parquet

from api.documents.file_forms import LIST_FORMS
from tests.api.resources.test_trips import day, store, window
from tests.api.running import Answer, Organization, RunningApi
from tests.api.shapes import square
from tests.api.stored import carried, minute, store_visit

pytestmark = pytest.mark.own_api

LISTS = ("visits", "trips", "stops")


@pytest.fixture(params=[1, 1_000])
def rows_of_a_page(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("api.resources.visits", "api.resources.trips.listing"):
        monkeypatch.setattr(f"{module}.PAGE_ROWS", request.param)


async def a_day(api: RunningApi, org: Organization) -> dict[str, Any]:
    """Store a day with visits of a zone that is called like a formula, and return what to ask."""
    who = await carried(org)
    store(api, org, who.tracker_id, day())
    zone = await org.admin.post("/v1/zones", {"name": "=1+1", "geometry": square()})
    for begin in (0, 40):
        store_visit(api, org, who, zone.json["id"], minute(begin), minute(begin + 30))
    return {"asset_id": who.asset_id, **window()}


async def file_of(org: Organization, name: str, media_type: str, **asked: Any) -> Answer:
    answer = await org.viewer.get(f"/v1/{name}", {"Accept": media_type}, **asked)
    assert answer.status == 200, answer.content
    assert answer.headers["Content-Disposition"].startswith(f'attachment; filename="{name}.')
    return answer


@pytest.mark.usefixtures("rows_of_a_page")
@pytest.mark.parametrize("name", LISTS)
async def test_files_have_the_rows_of_the_list(
    api: RunningApi, north: Organization, name: str
) -> None:
    asked = await a_day(api, north)
    newest_first = (await north.viewer.get(f"/v1/{name}", **asked)).json["data"]
    rows = newest_first[::-1]
    assert len(rows) == 2
    lines = await file_of(north, name, "application/x-ndjson", **asked)
    assert [json.loads(line) for line in lines.content.splitlines()] == rows
    (time,) = {"started_at", "entered_at"} & rows[0].keys()
    lines = await file_of(north, name, "application/x-ndjson", sort=f"-{time}", **asked)
    assert [json.loads(line) for line in lines.content.splitlines()] == newest_first

    table = await file_of(north, name, "text/csv", **asked)
    read = list(csv.DictReader(io.StringIO(table.content.decode(), newline="")))
    assert [list(row) for row in read] == [list(row) for row in rows]
    assert [row[time] for row in read] == [row[time] for row in rows]

    columns = await file_of(north, name, "application/vnd.apache.parquet", **asked)
    stored = parquet.read_table(io.BytesIO(columns.content)).to_pylist()
    assert [row["duration_s"] for row in stored] == [row["duration_s"] for row in rows]


@pytest.mark.parametrize(
    ("name", "kind", "ends"),
    [
        ("visits", "Point", ("entry",)),
        ("stops", "Point", ("",)),
        ("trips", "LineString", ("start", "end")),
    ],
)
async def test_geojson_has_their_places(
    api: RunningApi, north: Organization, name: str, kind: str, ends: tuple[str, ...]
) -> None:
    asked = await a_day(api, north)
    rows = (await north.viewer.get(f"/v1/{name}", **asked)).json["data"][::-1]
    features = (await file_of(north, name, "application/geo+json", **asked)).json["features"]
    for feature, row in zip(features, rows, strict=True):
        places = [[row.pop(f"{end}_{axis}".lstrip("_")) for axis in ("lon", "lat")] for end in ends]
        assert feature["geometry"]["type"] == kind
        assert feature["geometry"]["coordinates"] == (places if len(ends) > 1 else places[0])
        assert feature["properties"] == row
    refused = await north.viewer.get(
        f"/v1/{name}", {"Accept": "application/geo+json"}, fields="asset_id", **asked
    )
    assert refused.json["errors"][0]["message"].startswith("This form of file needs ")


@pytest.mark.parametrize("media_type", ["text/csv", "application/x-ndjson"])
@pytest.mark.parametrize("sort", ["", "-"])
@pytest.mark.parametrize("name", [*LISTS, "gps-events"])
async def test_a_file_is_gone_on_with_by_the_cursor_of_its_last_row(
    api: RunningApi, north: Organization, name: str, sort: str, media_type: str
) -> None:
    asked = await a_day(api, north)
    listed = (await north.viewer.get(f"/v1/{name}", limit=1_000, **asked)).json["data"]
    (time,) = {"started_at", "entered_at", "time"} & listed[0].keys()
    asked |= {"fields": time, "sort": f"{sort}{time}"}
    whole = (await file_of(north, name, media_type, **asked)).content
    lines = (await file_of(north, name, media_type, cursors=True, **asked)).content.splitlines()
    is_csv = media_type == "text/csv"
    for place, line in list(enumerate(lines[is_csv:], 1 + is_csv))[:20]:
        cursor = line.rpartition(b",")[2] if is_csv else json.loads(line)["cursor"].encode()
        rest = await file_of(north, name, media_type, cursor=cursor.decode(), **asked)
        assert rest.content == b"".join(whole.splitlines(keepends=True)[place:])
        if is_csv:
            assert rest.headers["Content-Type"] == "text/csv; charset=utf-8; header=absent"
        page = await north.viewer.get(f"/v1/{name}", cursor=cursor.decode(), limit=1_000, **asked)
        times = [row[time] for row in listed[:: 1 if sort else -1]]
        assert [row[time] for row in page.json["data"]] == times[place - is_csv :]
        assert (page.json["total"], page.json["offset"]) == (len(times), place - is_csv)
        other = {**asked, "sort": time if sort else f"-{time}"}
        refused = await north.viewer.get(
            f"/v1/{name}", {"Accept": media_type}, cursor=cursor.decode(), **other
        )
        assert refused.json["errors"][0]["parameter"] == "cursor"


async def test_only_lines_have_cursors(api: RunningApi, north: Organization) -> None:
    asked = await a_day(api, north)
    for media_type in ("application/geo+json", "application/vnd.apache.parquet"):
        for parameter in ({"cursor": "x"}, {"cursors": "true"}):
            refused = await north.viewer.get(
                "/v1/visits", {"Accept": media_type}, **asked, **parameter
            )
            assert refused.status == 400
            assert refused.json["errors"][0]["message"].startswith("Only CSV and NDJSON can")


@pytest.mark.parametrize("name", LISTS)
async def test_a_file_has_no_pages_and_nothing_of_others(
    api: RunningApi, north: Organization, south: Organization, name: str
) -> None:
    asked = await a_day(api, north)
    for media_type in LIST_FORMS:
        refused = await south.viewer.get(f"/v1/{name}", {"Accept": media_type}, **asked)
        assert refused.status == 404
    refused = await north.viewer.get(f"/v1/{name}", {"Accept": "text/csv"}, limit=1, **asked)
    assert refused.json["errors"][0]["message"] == "A file has no pages: leave out limit."
    refused = await north.viewer.get(f"/v1/{name}", {"Accept": "application/gpx+xml"}, **asked)
    assert refused.status == 406
