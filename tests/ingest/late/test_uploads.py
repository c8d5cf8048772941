"""Events that points of an uploaded track make known say so, however the points are judged."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from db.ingest.asset_backlogs import Backlog
from ingest.late import lookup as past
from ingest.planning.backlogs import Backlogs
from ingest.runtime import IngestRuntime
from telemetry.fix import Flag, blank_rows
from tests.ingest.conftest import Device, fix
from tests.ingest.tenants import Tenant, soon, square
from tests.servers import DatabaseUnderTest
from tests.waiting import until

HOME = (13.4, 52.5)
AWAY = (13.4, 52.5013)
QUIET = Flag.UPLOADED | Flag.QUIET
ONE_EXIT = {"exit_confirm_fixes": 1}
Told = tuple[Any, ...]  # event, source, late, whether endpoints get it

LIVE = (None, "false", True)
UPLOAD = ("upload", "true", False)


def drive(start: datetime, places: dict[int, tuple[float, float]]) -> list[dict[str, Any]]:
    """Return fixes by seconds after the start."""
    return [fix(start + timedelta(seconds=second), *place) for second, place in places.items()]


def told(tenant: Tenant) -> list[Told]:
    return tenant.rows(
        "SELECT coalesce(data->>'transition', data->>'change', 'overspeed'), data->>'source',"
        " data->>'late', for_webhooks FROM events ORDER BY position"
    )


async def has_stored(tenant: Tenant, fixes: int) -> None:
    await until(lambda: len(tenant.rows("SELECT FROM gps_events")) == fixes)
    await until(lambda: tenant.rows("SELECT FROM asset_backlogs") == [])


@pytest.fixture
def pieces(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Make a late fix with more than two behind it begin a backlog, judged in small pieces."""

    def small(fixes: int) -> None:
        monkeypatch.setattr(past, "MOST_FIXES", 2)
        monkeypatch.setattr(past, "PIECE_FIXES", fixes)

    return small


async def test_of_a_machine_that_had_sent_nothing(
    tenant: Tenant, device: Device, ingest: IngestRuntime
) -> None:
    """What has fallen due by the time of the upload is the upload's; what a device says is not."""
    vehicle, start = await tenant.vehicle(), soon(-3600)
    rules = {"dwell_seconds": 600, "speed_limit_mps": 10}
    await tenant.zone(square(*HOME), rules=rules)
    fixes = drive(start, {0: AWAY, 10: HOME, 11: HOME})
    fixes[1]["speed_mps"] = 20
    await tenant.upload(vehicle, *fixes, flags=QUIET)
    await until(lambda: len(told(tenant)) == 3)
    assert told(tenant) == [
        ("enter", *UPLOAD),
        ("overspeed", *UPLOAD),
        ("dwell", *UPLOAD),
    ]
    await device.send(vehicle, *drive(soon(-5), {0: AWAY, 1: AWAY}))
    await until(lambda: len(told(tenant)) == 4)
    assert told(tenant)[3] == ("exit", *LIVE)
    assert tenant.rows("SELECT DISTINCT flags FROM gps_events ORDER BY 1") == [(0,), (24,)]


async def test_a_dwell_that_falls_due_later_is_not_the_uploads(
    tenant: Tenant, ingest: IngestRuntime
) -> None:
    vehicle = await tenant.vehicle()
    await tenant.zone(square(*HOME), rules={"dwell_seconds": 14})
    await tenant.upload(vehicle, *drive(soon(-14), {0: AWAY, 2: HOME, 3: HOME}), flags=QUIET)
    await until(lambda: len(told(tenant)) == 2)
    assert told(tenant) == [("enter", *UPLOAD), ("dwell", *LIVE)]


@pytest.mark.parametrize("flags", [QUIET, Flag.UPLOADED])
@pytest.mark.parametrize("in_pieces", [False, True])
async def test_what_it_changes_of_a_visit_of_a_devices_fixes(
    tenant: Tenant,
    device: Device,
    ingest: IngestRuntime,
    database: DatabaseUnderTest,
    pieces: Callable[[int], None],
    flags: int,
    in_pieces: bool,
) -> None:
    """It splits a visit: the later part is entered by a device's fix, which was no news. In pieces,
    ingest loses its memory meanwhile.
    """
    vehicle, start = await tenant.vehicle(), soon(-100)
    await tenant.zone(square(*HOME), rules=ONE_EXIT)
    await device.send(vehicle, *drive(start, {0: AWAY, 10: HOME, 20: HOME, 30: HOME, 40: HOME}))
    await until(lambda: len(told(tenant)) == 1)
    if in_pieces:
        pieces(1)
    points = drive(start, {15: AWAY, 16: AWAY})
    await tenant.upload(vehicle, *points, flags=flags)
    if in_pieces:
        await until(lambda: len(tenant.rows("SELECT FROM asset_backlogs")) == 1)
        database.run(
            "admin",
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE usename = 'opsc_ingest' AND datname = current_database()",
        )
    await has_stored(tenant, 7)
    await device.send(vehicle, *drive(start, {50: AWAY}))
    await has_stored(tenant, 8)
    await until(lambda: len(told(tenant)) == 4)
    by_upload = ("upload", "true", flags == Flag.UPLOADED)
    assert told(tenant) == [
        ("enter", *LIVE),
        ("split", *by_upload),
        ("enter", *by_upload),
        ("exit", *LIVE),
    ]
    await tenant.upload(vehicle, *points, flags=Flag.UPLOADED)
    await until(lambda: tenant.rows("SELECT FROM inbox") == [])
    assert len(told(tenant)) == 4


async def test_a_backlog_of_an_upload_takes_no_news_from_a_device_that_sends_meanwhile(
    tenant: Tenant, device: Device, ingest: IngestRuntime, pieces: Callable[[int], None]
) -> None:
    pieces(2)
    vehicle, start = await tenant.vehicle(), soon(-300)
    await tenant.zone(square(*HOME), rules=ONE_EXIT)
    await device.send(vehicle, *drive(start, dict.fromkeys(range(0, 40, 10), AWAY)))
    await has_stored(tenant, 4)
    places = {second: HOME if second // 3 % 2 else AWAY for second in range(1, 10)}
    await tenant.upload(vehicle, *drive(start, places), flags=QUIET)
    await until(lambda: len(tenant.rows("SELECT FROM asset_backlogs")) == 1)
    await device.send(vehicle, *drive(start, {200: HOME, 201: HOME, 210: AWAY}))
    await has_stored(tenant, 16)
    await until(lambda: len(told(tenant)) == 6)
    uploaded = [("enter", *UPLOAD), ("exit", *UPLOAD), ("enter", *UPLOAD), ("exit", *UPLOAD)]
    assert told(tenant)[:4] == uploaded
    assert [(one[0], one[1], one[3]) for one in told(tenant)[4:]] == [
        ("enter", None, True),
        ("exit", None, True),
    ]


@pytest.mark.parametrize(
    ("second", "flags", "kept"),
    [
        (90, QUIET, QUIET),
        (90, Flag.UPLOADED, Flag.UPLOADED),
        (90, 0, 0),  # a late fix of a device: what it makes known is told
        (110, 0, QUIET),  # in order: it tells for itself
    ],
)
def test_a_backlog_is_an_uploads_as_long_as_all_late_fixes_are(
    second: int, flags: int, kept: int
) -> None:
    backlogs, ids = Backlogs(), (UUID(int=1), UUID(int=2))
    backlogs.put(0, Backlog(*ids, 50, 0, b"state", judged_us=100, flags=QUIET))
    row = blank_rows(1)
    row["asset"], row["time_us"], row["flags"] = 0, second, flags
    moved = backlogs.progress(row, {}, {}, now_us=0).moved
    assert moved.get(0, backlogs.next(0)) == Backlog(*ids, 50, 0, b"state", 100, kept)
