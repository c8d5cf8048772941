"""The contractor's week of the demo: it is as a real one would have come about."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mqtt import BrokerAddress
from stack.cli.organizations.org import create_with_admin
from stack.scenario.api_client import ApiClient
from stack.scenario.week import MACHINES, PEOPLE, TOWN, WEEKS_BREACHES, make_week, way_of, workdays
from telemetry.ids import parse_id
from telemetry.times import parse_time_us, to_us
from tests.stack.command import Installation
from tests.waiting import until

instants = st.integers(0, 730 * 24).map(
    lambda hours: datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=hours)
)


@given(instants)
def test_the_days_are_the_last_five_of_work_and_all_of_it_is_over(now: datetime) -> None:
    days = list(workdays(now))
    assert [day for day in days if day.weekday() >= 5] == []
    assert len(set(days)) == 5
    assert now.astimezone(TOWN) - timedelta(days=8) < days[0] < days[-1]
    for number in range(len(MACHINES)):
        times = [parse_time_us(fix["time"]) for fix in way_of(number, days, Random(1))]
        assert times == sorted(set(times))
        assert times[-1] < to_us(now)


async def _has_all(client: ApiClient, breach: dict[str, str]) -> bool:
    """Return whether all breaches have their numbers."""
    return await client.total("/v1/events", breach) == WEEKS_BREACHES


@pytest.mark.acceptance
@pytest.mark.usefixtures("programs")
async def test_the_week_is_made_whole_and_nothing_of_it_is_delivered(
    installation: Installation,
) -> None:
    stack = installation.stack()
    admin = await create_with_admin(
        stack.database["opsc_owner"], "Week", "admin@week.example", "unlimited"
    )
    org_id = parse_id("org", admin.organization_id)
    async with ApiClient(stack.api_url) as client:
        await client.sign_in(*admin)
        broker, now = BrokerAddress.parse(stack.broker_url), datetime.now(UTC)
        fixes = await make_week(client, broker, stack.database["opsc_ingest"], org_id, now)
        assert await client.total("/v1/gps-events") == fixes
        alerts: list[Any] = (await client.get("/v1/alerts"))["data"]
        assert {(each["asset_name"], *each["told"]) for each in alerts} == {
            ("Excavator 21 t", "enter", "exit"),
            ("Hired generator", "exit"),
        }
        punches = (await client.get("/v1/punches", {"limit": 1000}))["data"]
        assert Counter(each["verdict"] for each in punches) == {
            "verified": len(PEOPLE) * 5 * 4 - 2,
            "failed": 1,
        }
        shifts = (await client.get("/v1/shifts", {"limit": 1000}))["data"]
        assert len(shifts) == len(PEOPLE) * 5
        assert await client.total("/v1/webhook-deliveries") == 0
        breach = {"type": "asset.geofence_breach"}
        await until(lambda: _has_all(client, breach))
        orders = (await client.get("/v1/work-orders"))["data"]
        assert Counter(each["status"] for each in orders) == {
            "started": 2,
            "completed": 1,
            "created": 1,
            "assigned": 1,
        }
