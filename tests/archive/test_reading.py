"""Lists of fixes are the same before and after their days were archived."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from archive import choosing, reading
from archive.mover import MoverLimits
from archive.store import Store
from db.core.ids import new_id
from telemetry.ids import parse_id
from tests.api.punching import employee, phone
from tests.api.running import Answer, Client, Organization, RunningApi, running_api
from tests.api.shapes import square
from tests.api.stored import Carried, carried, store_visit, text
from tests.archive.passes import archive, folder_store
from tests.servers import DatabaseUnderTest

DAY = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("archive")


@pytest.fixture(scope="module")
def api(database: DatabaseUnderTest, folder: Path) -> Iterator[RunningApi]:
    with running_api(
        database,
        archive_url=folder.as_uri(),
        api_address_requests_per_minute=1_000_000,
    ) as running:
        yield running


@pytest.fixture(scope="module")
def store(folder: Path) -> Store:
    return folder_store(folder)


def at(hours: float) -> datetime:
    return DAY + timedelta(hours=hours)


def insert(
    api: RunningApi, org: Organization, tracker_id: str, time: datetime, seq: int, **columns: Any
) -> None:
    values = {"lat": 52.5, "lon": 13.4, "received_at": time, **columns}
    names, places = ", ".join(values), ", ".join(["%s"] * len(values))
    api.sql(
        f"INSERT INTO gps_events (org_id, tracker_id, time, seq, {names})"
        f" VALUES (%s, %s, %s, %s, {places})",
        org.org_id,
        parse_id("trk", tracker_id),
        time,
        seq,
        *values.values(),
    )


def scatter(
    api: RunningApi, org: Organization, chances: random.Random, trackers: list[str], fixes: int
) -> None:
    """Store fixes of five days, some of one time, and a last one of each tracker."""
    times = [at(chances.randrange(5 * 24 * 60) / 60) for _ in range(fixes // 2)]
    for tracker in trackers:
        keys = {(chances.choice(times), chances.randrange(-2, 2)) for _ in range(fixes)}
        for time, seq in keys:
            insert(
                api,
                org,
                tracker,
                time,
                seq,
                lat=chances.uniform(52, 53),
                lon=chances.uniform(13, 14),
                received_at=time + timedelta(microseconds=chances.randrange(10**9)),
                flags=chances.choice((0, 0, 0, 1, 4)),
                altitude_m=chances.choice((None, 35.5, -0.0, 0.1)),
                speed_mps=chances.choice((None, 12.3)),
                course_deg=chances.choice((None, 271.1)),
                accuracy_m=chances.choice((None, 4.7, 500.0)),
                battery_pct=chances.choice((None, 88.0)),
                satellites=chances.choice((None, 9)),
                ignition=chances.choice((None, True, False)),
                attributes=chances.choice((None, '{"a": "x,\\"\\n;ü", "odometer": 12.5}', "{}")),
            )
        insert(api, org, tracker, datetime.now(UTC) - timedelta(days=1), 0)


def left_in_database(api: RunningApi, org: Organization) -> int:
    return api.sql(
        "SELECT count(*) FROM gps_events WHERE org_id = %s AND time < %s", org.org_id, at(24 * 10)
    )[0][0]


async def pages(client: Client, **parameters: Any) -> list[Any]:
    """Return all pages of a list, with their totals."""
    found: list[Any] = []
    answer = await client.get("/v1/gps-events", **parameters)
    while True:
        assert answer.status == 200, answer.content
        cursor = answer.json.pop("next_cursor")
        found.append(answer.json)
        if cursor is None:
            return found
        answer = await client.get("/v1/gps-events", **parameters, cursor=cursor)


async def whole(client: Client, **parameters: Any) -> Answer:
    answer = await client.get(
        "/v1/gps-events", headers={"Accept": "application/x-ndjson"}, **parameters
    )
    assert answer.status == 200
    return answer


async def questions(org: Organization, who: list[Carried], zone_id: str, worker: str) -> list[Any]:
    """Ask for what lists can be asked for, and return the answers."""
    answers: list[Any] = []
    first, second = who[0], who[1]
    windows = (
        {},
        {"from_": text(at(30)), "to": text(at(31.5))},
        {"from_": text(at(24)), "to": text(at(72))},
        {"to": text(at(50))},
        {"from_": text(at(100))},
    )
    filters: tuple[dict[str, Any], ...] = (
        {},
        {"tracker_id": first.tracker_id},
        {"asset_id": first.asset_id},
        {"asset_id": second.asset_id, "tracker_id": first.tracker_id},
        {"zone_id": zone_id},
        {"employee_id": worker},
        {"asset_id": f"{first.asset_id},{second.asset_id}"},
        {"bbox": "13.2,52.3,13.6,52.7"},
        {"near": "52.5,13.4,20000", "asset_id": first.asset_id},
        {"zone_id": zone_id, "zone_by": "shape"},
    )
    for client in (org.admin, org.viewer):
        for wanted in filters:
            for window in windows:
                for sort in ("time", "-time"):
                    asked = {**wanted, **window, "sort": sort}
                    answers.append(await pages(client, **asked, limit=200))
                    answers.append((await client.get("/v1/gps-events", **asked, limit=3)).json)
            for window in windows[::2]:
                few = await client.get("/v1/gps-events", **wanted, **window, max_points=12)
                assert few.status == 200, few.content
                answers.append(few.json)
        for wanted in ({}, {"asset_id": first.asset_id}, {"employee_id": worker}):
            place = {"lat": 52.4, "lon": 13.3, "from_": text(at(20)), "to": text(at(110))}
            near = await client.get("/v1/gps-events/nearest", **wanted, **place)
            assert near.status == 200, near.content
            answers.append(near.json)
    for offset in (1, 40, 200, 900):
        for sort in ("time", "-time"):
            answer = await org.admin.get("/v1/gps-events", offset=offset, limit=20, sort=sort)
            answer.json.pop("next_cursor")
            answers.append(answer.json["data"])
    answers.append((await whole(org.admin, asset_id=first.asset_id)).content)
    answers.append((await whole(org.viewer, sort="-time")).content)
    for path in ("/v1/trips", "/v1/stops"):
        for who_asked in ({"asset_id": first.asset_id}, {"employee_id": worker}):
            found = await org.admin.get(path, **who_asked, from_=text(at(0)), to=text(at(200)))
            assert found.status == 200, found.content
            answers.append(found.json)
    return [_without_cursor(answer) for answer in answers]


def _without_cursor(answer: Any) -> Any:
    if isinstance(answer, dict):
        return {name: value for name, value in answer.items() if name != "next_cursor"}
    return answer


async def make(api: RunningApi, org: Organization) -> tuple[list[Carried], str, str]:
    """Return three machines, of which two swapped trackers; a zone; an employee with a phone."""
    who = [await carried(org) for _ in range(3)]
    assignments = "UPDATE tracker_assignments SET assigned_to = %s WHERE tracker_id = %s"
    for one in who[:2]:
        api.sql(assignments, at(40), one.tracker)
    for one, other in (who[:2], who[1::-1]):
        api.sql(
            "INSERT INTO tracker_assignments (org_id, id, tracker_id, asset_id, assigned_from,"
            " revision) VALUES (%s, %s, %s, %s, %s, 1)",
            org.org_id,
            new_id(),
            one.tracker,
            parse_id("ast", other.asset_id),
            at(41),
        )
    zone = await org.admin.post("/v1/zones", {"name": "x", "geometry": square()})
    for entered, left in ((2, 5), (20, 28), (30, 90)):
        store_visit(api, org, who[0], zone.json["id"], at(entered), at(left))
    store_visit(api, org, who[2], zone.json["id"], at(70))
    worker = await employee(org)
    return who, zone.json["id"], worker


async def test_lists_are_the_same_after_days_were_archived(
    api: RunningApi, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    chances = random.Random(1)
    org = api.organization("Quarries")
    who, zone_id, worker = await make(api, org)
    held = await phone(org, worker, at(10))
    scatter(api, org, chances, [*(one.tracker_id for one in who), held], 90)
    before = await questions(org, who, zone_id, worker)
    monkeypatch.setattr(reading, "PAGE_ROWS", 90)
    passed = await archive(api.database, store, limits=MoverLimits(piece_rows=50, rest_s=0))
    assert passed.fixes > 200
    assert passed.failed_days == 0
    assert left_in_database(api, org) == 0
    after = await questions(org, who, zone_id, worker)
    for number, (old, new) in enumerate(zip(before, after, strict=True)):
        assert old == new, number
    assert json.dumps(before[0])


async def test_an_archive_that_cannot_be_read_is_a_problem_of_its_days(
    api: RunningApi, store: Store, folder: Path
) -> None:
    org = api.organization("Quarries")
    who = await carried(org)
    for hours in (0, 24, 48):
        insert(api, org, who.tracker_id, at(hours), 0)
    insert(api, org, who.tracker_id, datetime.now(UTC), 0)
    await archive(api.database, store)
    (path,) = (folder / f"org={org.org_id}" / "day=2026-03-02").iterdir()
    path.write_bytes(path.read_bytes()[:-1])
    asked = {"asset_id": who.asset_id}
    for refused in (
        await org.viewer.get("/v1/gps-events", **asked),
        await org.viewer.get("/v1/trips", **asked, from_=text(at(0)), to=text(at(50))),
    ):
        assert refused.status == 503
        assert (refused.json["code"], refused.json["day"]) == ("archive_unavailable", "2026-03-02")
        assert "Retry-After" in refused.headers
    for window, times in (
        ({"to": text(at(24))}, [at(0)]),
        ({"from_": text(at(48)), "to": text(at(60))}, [at(48)]),
    ):
        answer = await org.viewer.get("/v1/gps-events", **asked, **window)
        assert [row["time"] for row in answer.json["data"]] == [text(time) for time in times]
        assert answer.json["total"] == 1
    newest = await org.viewer.get("/v1/gps-events", **asked, limit=1, total="none")
    assert newest.status == 503 or len(newest.json["data"]) == 1


async def test_nothing_of_another_organization_is_read(api: RunningApi, store: Store) -> None:
    ours, theirs = api.organization("Quarries"), api.organization("Quarries")
    who, other = await carried(ours), await carried(theirs)
    for org, one in ((ours, who), (theirs, other)):
        insert(api, org, one.tracker_id, at(1), 0)
        insert(api, org, one.tracker_id, datetime.now(UTC), 0)
    await archive(api.database, store)
    for client, one in ((ours.viewer, who), (theirs.viewer, other)):
        listed = await client.get("/v1/gps-events", to=text(at(10)))
        assert [row["tracker_id"] for row in listed.json["data"]] == [one.tracker_id]
        assert listed.json["total"] == 1
    foreign = await ours.viewer.get("/v1/gps-events", tracker_id=other.tracker_id)
    assert foreign.status == 404 or foreign.json["data"] == []


async def test_few_of_many_are_chosen_from_both_and_each_fix_once(
    api: RunningApi, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    org = api.organization("Quarries")
    who = await carried(org)
    for hours in (0, 1, 24, 24 * 40):
        insert(api, org, who.tracker_id, at(hours), 0)
    await archive(api.database, store)
    insert(api, org, who.tracker_id, at(1), 0, lat=52.6)  # it comes again, otherwise
    insert(api, org, who.tracker_id, at(0.5), 0)
    asked = {"asset_id": who.asset_id, "to": text(at(30))}
    few = await org.viewer.get("/v1/gps-events", **asked, max_points=10, sort="time")
    shown = [(row["time"], row["lat"]) for row in few.json["data"]]
    assert shown == [(text(at(hours)), 52.5) for hours in (0, 0.5, 1, 24)]
    assert few.json["total"] == 4
    near = await org.viewer.get("/v1/gps-events/nearest", **asked, lat=52.6, lon=13.4)
    assert [row["lat"] for row in near.json["data"]] == [52.5]
    monkeypatch.setattr(choosing, "MOST_OBJECTS", 1)
    for path, more, name in (
        ("/v1/gps-events", {"max_points": 5}, "max_points"),
        ("/v1/gps-events/nearest", {"lat": 52.5, "lon": 13.4, "from_": text(at(-1))}, "to"),
    ):
        refused = await org.viewer.get(path, **asked, **more)
        assert refused.status == 400
        (fault,) = refused.json["errors"]
        message = "There are more than 1 archived days: ask for a shorter time."
        assert (fault["parameter"], fault["message"]) == (name, message)
    later = await org.viewer.get("/v1/gps-events", **asked, max_points=5, from_=text(at(20)))
    assert len(later.json["data"]) == 1
    monkeypatch.setattr(choosing, "MOST_PLACES", 3)
    refused = await org.viewer.get("/v1/gps-events", **asked, max_points=5, from_=text(at(-1)))
    assert refused.status == 400


async def test_a_feed_that_may_have_a_gap_is_refused_and_says_where_to_begin(
    api: RunningApi, store: Store
) -> None:
    org = api.organization("Quarries")
    who = await carried(org)
    for hours in (0, 24, 24 * 40):
        insert(api, org, who.tracker_id, at(hours), 0)
    feed = {"received_after": text(at(-1)), "limit": 1}
    first = (await org.viewer.get("/v1/gps-events", **feed)).json
    assert (first["total"], len(first["data"])) == (3, 1)
    await archive(api.database, store)
    for more in ({}, {"cursor": first["next_cursor"]}):
        refused = await org.viewer.get("/v1/gps-events", **feed, **more)
        assert refused.status == 400
        (fault,) = refused.json["errors"]
        assert fault["parameter"] == "received_after"
        assert fault["message"].endswith("begin with 2026-03-03T00:00:00Z.")
    later = await org.viewer.get("/v1/gps-events", received_after="2026-03-03T00:00:00Z")
    assert later.json["total"] == 1
    apart = await org.viewer.get("/v1/gps-events", **feed, from_="2026-03-03T00:00:00Z")
    assert apart.json["total"] == 1
