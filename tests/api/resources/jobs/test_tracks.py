"""Uploads of tracks: from the file to stored fixes and their breaches."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from tests.api.resources.jobs.doing import doing_jobs, ended, ingesting, made, post_file
from tests.api.running import Organization, RunningApi
from tests.api.stored import Carried, carried, text
from tests.waiting import until

pytestmark = pytest.mark.own_api
START = datetime.now(UTC).replace(microsecond=0) - timedelta(days=2)
Point = tuple[datetime, float, float]


def drive(points: int, lon: float = 13.0, step: float = 0.0001) -> list[Point]:
    """Return a drive to the east, a point a second."""
    return [(START + timedelta(seconds=n), 52.5, lon + n * step) for n in range(points)]


def as_csv(points: Sequence[Point]) -> str:
    lines = [f"{text(time)},{lat},{lon:.6f},12.5" for time, lat, lon in points]
    return "\n".join(["time,lat,lon,speed_mps", *lines, ""])


def as_gpx(points: Sequence[Point]) -> str:
    inside = "".join(
        f'<trkpt lat="{lat}" lon="{lon:.6f}"><time>{text(time)}</time></trkpt>'
        for time, lat, lon in points
    )
    return f'<gpx version="1.1"><trk><name>Tour</name><trkseg>{inside}</trkseg></trk></gpx>'


def as_geojson(points: Sequence[Point]) -> str:
    line = {
        "type": "Feature",
        "geometry": {"type": "LineString", "coordinates": [[p[2], p[1], 34] for p in points]},
        "properties": {"coordTimes": [text(p[0]) for p in points]},
    }
    return json.dumps({"type": "FeatureCollection", "features": [line]})


def as_nmea(points: Sequence[Point]) -> str:
    lines: list[str] = []
    for time, lat, lon in points:
        place = f"52{(lat - 52) * 60:07.4f},N,0{int(lon)}{(lon - int(lon)) * 60:07.4f},E"
        body = f"GPRMC,{time:%H%M%S}.00,A,{place},24.3,90.0,{time:%d%m%y},,,A"
        checksum = 0
        for byte in body.encode():
            checksum ^= byte
        lines.append(f"${body}*{checksum:02X}")
    return "\r\n".join(lines)


async def stored(org: Organization, who: Carried) -> int:
    path = "/v1/gps-events"
    return len(await org.viewer.walk(path, asset_id=who.asset_id, limit=1000, total="none"))


async def test_a_long_track_is_stored_and_gives_its_breach(
    api: RunningApi, org: Organization
) -> None:
    who, points = await carried(org), drive(20_000, step=0.00001)
    ring = [[13.05, 52.49], [13.1, 52.49], [13.1, 52.51], [13.05, 52.51], [13.05, 52.49]]
    zone = {
        "name": "Yard",
        "geometry": {"type": "Polygon", "coordinates": [ring]},
        "valid_from": "2020-01-01T00:00:00Z",
    }
    assert (await org.admin.post("/v1/zones", zone)).status == 201
    async with ingesting(api.database), doing_jobs(api.database):
        path = f"/v1/assets/{who.asset_id}/tracks"
        job = await ended(org, await made(org.dispatcher, path, as_csv(points)))
        assert (job["state"], job["done"], job["total"]) == ("done", 20_000, 20_000)
        assert (job["result"]["written"], job["asset_id"]) == (20_000, who.asset_id)
        count = "SELECT count(*) FROM gps_events WHERE org_id = %s"
        await until(lambda: api.sql(count, org.org_id) == [(20_000,)])
        again = await ended(org, await made(org.dispatcher, path, as_csv(points[:2_500])))
        assert (again["result"]["written"], again["result"]["known"]) == (0, 2_500)
        changed = [*points[:10], (points[10][0], 52.6, 13.0)]
        other = await ended(org, await made(org.dispatcher, path, as_csv(changed)))
    result = other["result"]
    assert (result["written"], result["known"], result["conflicts"]) == (0, 10, 1)
    assert result["faults"] == [
        {"message": "Another fix of that time is stored.", "time": text(points[10][0])}
    ]
    assert await stored(org, who) == 20_000
    breaches = api.sql(
        "SELECT data ->> 'transition' FROM events WHERE org_id = %s"
        " AND type = 'asset.geofence_breach' ORDER BY occurred_at",
        org.org_id,
    )
    assert breaches == [("enter",), ("exit",)]
    assert api.sql("SELECT count(*) FROM inbox") == [(0,)]
    assert api.sql("SELECT count(*) FROM quarantine WHERE org_id = %s", org.org_id) == [(0,)]


@pytest.mark.parametrize(
    ("write", "content_type"),
    [
        (as_csv, "text/csv"),
        (as_gpx, "application/gpx+xml"),
        (as_geojson, "application/geo+json"),
        (as_nmea, "text/plain"),
    ],
)
async def test_each_format_gives_the_same_points(
    api: RunningApi, org: Organization, write, content_type: str
) -> None:
    who, points = await carried(org), drive(1_200)
    async with ingesting(api.database), doing_jobs(api.database):
        path = f"/v1/assets/{who.asset_id}/tracks"
        job = await ended(org, await made(org.dispatcher, path, write(points), content_type))
        assert (job["state"], job["result"]["written"]) == ("done", 1_200), job
        count = "SELECT count(*) FROM gps_events WHERE org_id = %s"
        await until(lambda: api.sql(count, org.org_id) == [(1_200,)])
    rows = api.sql(
        "SELECT time, lat, lon FROM gps_events WHERE org_id = %s ORDER BY time", org.org_id
    )
    for (time, lat, lon), found in zip(points, rows, strict=True):
        assert found == (time, pytest.approx(lat, abs=1e-6), pytest.approx(lon, abs=1e-6))


async def test_where_the_asset_had_no_tracker_one_for_uploads_is_on_it(
    api: RunningApi, org: Organization
) -> None:
    asset = (await org.admin.post("/v1/assets", {"name": "Crane"})).json
    first, last = START + timedelta(seconds=100), START + timedelta(seconds=200)
    tracker = {"asset_id": asset["id"], "assigned_from": text(first), "name": "Own"}
    own = (await org.admin.post("/v1/trackers", tracker)).json
    api.sql("UPDATE tracker_assignments SET assigned_to = %s WHERE org_id = %s", last, org.org_id)
    async with ingesting(api.database), doing_jobs(api.database):
        path = f"/v1/assets/{asset['id']}/tracks"
        job = await ended(org, await made(org.dispatcher, path, as_csv(drive(300))))
        assert (job["state"], job["result"]["written"]) == ("done", 300), job
        count = "SELECT count(*) FROM gps_events WHERE org_id = %s"
        await until(lambda: api.sql(count, org.org_id) == [(300,)])
        again = await ended(org, await made(org.dispatcher, path, as_csv(drive(310))))
        assert (again["result"]["known"], again["result"]["written"]) == (300, 10)
        await until(lambda: api.sql(count, org.org_id) == [(310,)])
    fixes = await org.viewer.walk("/v1/gps-events", asset_id=asset["id"], limit=1000)
    by_tracker = [fix["tracker_id"] for fix in fixes]
    assert by_tracker.count(own["id"]) == 100
    (upload,) = (await org.viewer.get("/v1/trackers", external_id=f"upload:{asset['id']}")).json[
        "data"
    ]
    assert (upload["name"], by_tracker.count(upload["id"])) == ("upload", 210)
    assert upload["asset_id"] is None


async def test_points_of_no_credible_time_and_of_a_revoked_tracker_are_faults(
    api: RunningApi, org: Organization
) -> None:
    who = await carried(org)
    await org.admin.post(f"/v1/trackers/{who.tracker_id}/revoke", None)
    times = [datetime(1999, 1, 1, tzinfo=UTC), START, datetime.now(UTC) + timedelta(days=1)]
    async with doing_jobs(api.database):
        path = f"/v1/assets/{who.asset_id}/tracks"
        file = as_csv([(time, 52.5, 13.4) for time in times])
        job = await ended(org, await made(org.dispatcher, path, file))
    assert (job["state"], job["result"]["written"], job["result"]["faulty"]) == ("done", 0, 3)
    assert {fault["message"] for fault in job["result"]["faults"]} == {
        "The time lies before 2000 or in the future.",
        "The tracker that the asset had at that time is revoked.",
    }


@pytest.mark.parametrize(
    ("content", "content_type", "error"),
    [
        ("time,lat,lon\n2026-01-01T00:00:00Z,91,13\n", "text/csv", "Line 2: lat"),
        ("time,lat\n", "text/csv", "Line 1: the header has no column lon."),
        ("<gpx><trk>", "application/gpx+xml", "not XML"),
        (
            '<!DOCTYPE gpx [<!ENTITY a "b">]><gpx>&a;</gpx>',
            "application/gpx+xml",
            "entities and document types are not read",
        ),
        (as_gpx([]), "application/gpx+xml", "there is no point"),
        ("hello", "text/plain", "no line is an RMC"),
        ("[" * 100_000, "application/geo+json", "not JSON"),
        ('{"type": "Feature", "geometry": null}', "application/geo+json", "Feature 1"),
        (as_geojson(drive(2)).replace("[13.0,", "[1e999,"), "application/geo+json", "1"),
        (as_csv(drive(200_001)), "text/csv", "a track has at most 200,000 points"),
    ],
)
async def test_a_file_that_is_no_track_fails_with_its_reason(
    api: RunningApi, org: Organization, content: str, content_type: str, error: str
) -> None:
    who = await carried(org)
    async with doing_jobs(api.database):
        path = f"/v1/assets/{who.asset_id}/tracks"
        job = await ended(org, await made(org.dispatcher, path, content, content_type))
    assert job["state"] == "failed"
    assert error in job["error"]


async def test_an_upload_is_bounded_and_of_the_own_organization(
    org: Organization, south: Organization
) -> None:
    theirs, own = await carried(south), await carried(org)
    path = f"/v1/assets/{own.asset_id}/tracks"
    assert (
        await post_file(org.dispatcher, f"/v1/assets/{theirs.asset_id}/tracks", "x")
    ).status == 404
    assert (await post_file(org.technician, path, "x")).status == 403
    assert (await post_file(org.dispatcher, path, "x", "application/pdf")).status == 415
    assert (await post_file(org.dispatcher, path, b"x" * 20_000_001)).status == 413
