"""Reports about stays in zones, through HTTP: hours on site that are known."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.resources.reports import stays
from tests.api.resources.reports.made import asked_for, at, report, utc
from tests.api.running import Organization, RunningApi
from tests.api.shapes import square
from tests.api.stored import carried, store_visit

pytestmark = pytest.mark.every_python

HOUR_S = 3_600


@pytest.fixture
def org(api: RunningApi) -> Organization:
    """An organization that has nothing yet."""
    return api.organization("Acme")


async def a_zone(org: Organization, name: str, client_id: str | None = None) -> str:
    """Return a zone, the geofence of a client's site if there is one."""
    zone = (await org.admin.post("/v1/zones", {"name": name, "geometry": square()})).json["id"]
    if client_id is not None:
        site = {"name": name, "client_id": client_id, "zone_id": zone}
        assert (await org.admin.post("/v1/sites", site)).status == 201
    return zone


async def a_client(org: Organization, name: str) -> str:
    return (await org.admin.post("/v1/clients", {"name": name})).json["id"]


def presence(rows: list[dict[str, Any]], *names: str) -> list[tuple[Any, ...]]:
    """Return what rows are about, with hours, visits and assets."""
    return [
        (*(row[name] for name in names), row["presence_s"] / HOUR_S, row["visits"], row["assets"])
        for row in rows
    ]


async def test_hours_on_site_by_zone_client_and_asset(api: RunningApi, org: Organization) -> None:
    first, second = await carried(org, "A"), await carried(org, "B")
    client = await a_client(org, "Client")
    site, yard = await a_zone(org, "Site", client), await a_zone(org, "Yard")
    store_visit(api, org, first, site, at("2026-03-10T08:00"), at("2026-03-10T11:00"))
    store_visit(api, org, first, site, at("2026-03-10T13:00"), at("2026-03-10T14:30"))
    store_visit(api, org, second, site, at("2026-03-10T09:00"), at("2026-03-10T10:00"))
    store_visit(api, org, first, yard, at("2026-03-10T18:00"), at("2026-03-10T19:00"))
    rows = await report(org.viewer, "presence", "2026-03-10")
    assert presence(rows, "zone_id", "client_id", "asset_id", "asset_name") == [
        (yard, None, first.asset_id, "A", 1, 1, 1),
        (site, client, first.asset_id, "A", 4.5, 2, 1),
        (site, client, second.asset_id, "B", 1, 1, 1),
    ]
    by_client = await report(org.viewer, "presence", "2026-03-10", group_by="client")
    assert presence(by_client, "client_name", "zone_id") == [
        *((None, None, 1, 1, 1), ("Client", None, 5.5, 3, 2))
    ]
    some = await report(org.viewer, "presence", "2026-03-10", client_id=client, group_by="zone")
    assert presence(some, "zone_name") == [("Site", 5.5, 3, 2)]
    some = await report(org.viewer, "presence", "2026-03-10", asset_id=second.asset_id)
    assert presence(some, "asset_name") == [("B", 1, 1, 1)]


@pytest.mark.parametrize(
    ("day", "hours"), [("2026-03-29", 23), ("2026-10-25", 25), ("2026-05-05", 24)]
)
async def test_stays_are_cut_at_local_days(
    api: RunningApi, org: Organization, day: str, hours: int
) -> None:
    who, zone = await carried(org), await a_zone(org, "Site")
    before, after = [
        (at(f"{day}T12:00") + timedelta(days=days)).date().isoformat() for days in (-1, 1)
    ]
    store_visit(api, org, who, zone, at(f"{before}T20:00"), at(f"{after}T06:00"))
    rows = await report(org.viewer, "presence", before, after, group_by="day")
    assert presence(rows, "day") == [(before, 4, 1, 1), (day, hours, 1, 1), (after, 6, 1, 1)]
    (whole,) = await report(org.viewer, "presence", before, after)
    assert whole["presence_s"] == (4 + hours + 6) * HOUR_S
    (visit,) = await report(org.viewer, "visits", day)
    assert visit["within_s"] == hours * HOUR_S
    assert (visit["entered_at"], visit["left_at"]) == (
        utc(f"{before}T20:00"),
        utc(f"{after}T06:00"),
    )
    assert (visit["zone_name"], visit["asset_id"], visit["client_names"]) == (
        "Site",
        who.asset_id,
        None,
    )


async def test_zones_of_a_client_that_overlap_count_once(
    api: RunningApi, org: Organization
) -> None:
    who, client, other = await carried(org), await a_client(org, "One"), await a_client(org, "Two")
    gate, site = await a_zone(org, "Gate", client), await a_zone(org, "Site", client)
    await org.admin.post("/v1/sites", {"name": "Too", "client_id": other, "zone_id": gate})
    store_visit(api, org, who, site, at("2026-03-10T08:00"), at("2026-03-10T12:00"))
    store_visit(api, org, who, gate, at("2026-03-10T07:00"), at("2026-03-10T09:00"))
    rows = await report(org.viewer, "presence", "2026-03-10", group_by="client")
    assert presence(rows, "client_name") == [("One", 5, 2, 1), ("Two", 2, 1, 1)]
    (both,) = await report(org.viewer, "presence", "2026-03-10", group_by="asset")
    assert both["presence_s"] == 5 * HOUR_S
    (gated,) = await report(org.viewer, "visits", "2026-03-10", zone_id=gate)
    assert gated["client_names"] == "One, Two"
    only = await report(
        org.viewer, "presence", "2026-03-10", group_by="client,zone", client_id=other
    )
    assert presence(only, "client_name", "zone_name") == [("Two", "Gate", 2, 1, 1)]


async def test_a_visit_that_lasts_counts_up_to_now(api: RunningApi, org: Organization) -> None:
    who, zone = await carried(org), await a_zone(org, "Site")
    now = datetime.now(UTC)
    store_visit(api, org, who, zone, now - timedelta(hours=3))
    asked: dict[str, Any] = {"from_": (now - timedelta(hours=1)).isoformat().replace("+00:00", "Z")}
    answer = await org.viewer.get("/v1/reports/visits", to="2100-01-01", **asked)
    (visit,) = answer.json["data"]
    assert visit["left_at"] is None
    assert visit["within_s"] == pytest.approx(HOUR_S, abs=120)


async def test_what_never_was_is_not_reported(api: RunningApi, org: Organization) -> None:
    who, zone = await carried(org), await a_zone(org, "Site")
    store_visit(api, org, who, zone, at("2026-03-10T08:00"), at("2026-03-10T12:00"))
    api.sql("UPDATE visits SET retracted = true WHERE org_id = %s", org.org_id)
    assert await report(org.viewer, "visits", "2026-03-10") == []
    assert await report(org.viewer, "presence", "2026-03-10") == []


@pytest.mark.own_api
async def test_there_are_not_too_many_visits(
    api: RunningApi, org: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    who, zone = await carried(org), await a_zone(org, "Site")
    for hour in (8, 10):
        begin = at(f"2026-03-10T{hour:02}:00")
        store_visit(api, org, who, zone, begin, begin + timedelta(hours=1))
    monkeypatch.setattr(stays, "MOST_VISITS", 1)
    refused = await asked_for(org.viewer, "presence", "2026-03-10")
    assert refused.status == 400
    assert refused.json["errors"][0]["message"] == (
        "There are more than 1 visits: ask for a shorter time."
    )


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 20)), max_size=12))
def test_a_union_is_as_long_as_the_instants_in_it(spans: list[tuple[int, int]]) -> None:
    instants = {instant for begin, length in spans for instant in range(begin, begin + length)}
    assert stays.union_us([(begin, begin + length) for begin, length in spans]) == len(instants)
