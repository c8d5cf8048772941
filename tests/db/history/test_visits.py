"""Visits as ingest writes them, and reads them back."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from db.core.ids import new_id
from db.history import visits
from db.history.visits import Departure, Dwelling, FirstOverspeed, VisitNotOpen, VisitRow
from db.ingest import restore
from tests.db.rows import LONG_AGO, transaction
from tests.ingest.tenants import Tenant
from tests.servers import DatabaseUnderTest

LATER = LONG_AGO + timedelta(minutes=30)
END = LONG_AGO + timedelta(hours=1)
EXIT_FIX = (new_id(), END, 7)


@dataclass(frozen=True, slots=True)
class Stay:
    """A visit that was written while it was open."""

    tenant: Tenant
    visit: VisitRow

    def row(self, columns: str) -> tuple[Any, ...]:
        (row,) = self.tenant.rows(f"SELECT {columns} FROM visits WHERE id = '{self.visit.id}'")
        return row


@pytest.fixture
async def stay(database: DatabaseUnderTest) -> Stay:
    """An open visit of an organization of its own."""
    tenant = await Tenant.create(database)
    visit = an_open_visit(tenant, entry_cause="reassigned", entry_inferred="segment")
    async with transaction(database, "opsc_ingest") as conn:
        await visits.insert(conn, [visit])
    return Stay(tenant, visit)


def an_open_visit(tenant: Tenant, **more: Any) -> VisitRow:
    return VisitRow(
        org_id=tenant.org_id,
        id=new_id(),
        asset_id=new_id(),
        zone_id=new_id(),
        zone_version=1,
        tracker_id=new_id(),
        first_fix_time=LONG_AGO,
        first_fix_seq=0,
        change_time=None,
        entered_at=LONG_AGO,
        entry_lat=52.5,
        entry_lon=13.4,
        **{"entry_cause": "moved"} | more,
    )


async def test_a_visit_that_ends_by_silence_says_so(
    database: DatabaseUnderTest, stay: Stay
) -> None:
    end = Departure(*stay.visit[:2], END, 52.6, 13.5, "silence", "timer", *EXIT_FIX)
    async with transaction(database, "opsc_ingest") as conn:
        await visits.close(conn, [end])
    columns = "entry_cause, entry_inferred, left_at, exit_cause, exit_inferred"
    assert stay.row(columns) == ("reassigned", "segment", END, "silence", "timer")
    assert stay.row("exit_tracker_id, exit_fix_time, exit_fix_seq") == EXIT_FIX


async def test_a_dwell_is_noted_while_the_visit_is_open_and_read_back(
    database: DatabaseUnderTest, stay: Stay
) -> None:
    async def dwelled() -> bool:
        async with transaction(database, "opsc_ingest") as conn:
            open_visits = await restore.open_visits(conn)
        (found,) = [each for each in open_visits if each.asset_id == stay.visit.asset_id]
        return found.dwelled

    assert not await dwelled()
    async with transaction(database, "opsc_ingest") as conn:
        await visits.mark_dwelled(conn, [Dwelling(*stay.visit[:2], LATER)])
        await visits.mark_dwelled(conn, [])
    assert await dwelled()
    assert stay.row("dwelled_at, left_at") == (LATER, None)


async def test_an_overspeed_is_noted_while_the_visit_is_open_and_read_back(
    database: DatabaseUnderTest, stay: Stay
) -> None:
    found = FirstOverspeed(*stay.visit[:2], LATER, 52.5, 13.5, 16.7)
    async with transaction(database, "opsc_ingest") as conn:
        await visits.mark_overspeed(conn, [found])
        await visits.mark_overspeed(conn, [])
        open_visits = await restore.open_visits(conn)
    (read,) = [each for each in open_visits if each.asset_id == stay.visit.asset_id]
    assert (read.overspeed, read.overspeed_announced) == (True, True)
    columns = "overspeed_at, overspeed_lat, overspeed_lon, overspeed_mps, overspeed_announced"
    assert stay.row(columns) == (LATER, 52.5, 13.5, pytest.approx(16.7), True)
    async with transaction(database, "opsc_ingest") as conn:
        await visits.close(
            conn, [Departure(*stay.visit[:2], END, 1.0, 2.0, "moved", None, *EXIT_FIX)]
        )
        with pytest.raises(VisitNotOpen):
            await visits.mark_overspeed(conn, [found])


async def test_a_visit_of_one_batch_is_written_with_its_dwell_and_its_end(
    database: DatabaseUnderTest,
) -> None:
    tenant = await Tenant.create(database)
    whole = an_open_visit(
        tenant,
        dwelled_at=LATER,
        left_at=END,
        exit_lat=1.0,
        exit_lon=2.0,
        exit_cause="reassigned",
        exit_inferred="segment",
    )
    async with transaction(database, "opsc_ingest") as conn:
        await visits.insert(conn, [whole])
    columns = "entry_inferred, dwelled_at, left_at, exit_cause, exit_inferred, revision"
    assert Stay(tenant, whole).row(columns) == (None, LATER, END, "reassigned", "segment", 1)


async def test_a_dwell_of_a_visit_that_is_not_open_is_an_error(
    database: DatabaseUnderTest, stay: Stay
) -> None:
    async with transaction(database, "opsc_ingest") as conn:
        end = Departure(*stay.visit[:2], END, 1.0, 2.0, "moved", None, *EXIT_FIX)
        await visits.close(conn, [end])
        with pytest.raises(VisitNotOpen):
            await visits.mark_dwelled(conn, [Dwelling(*stay.visit[:2], LATER)])


async def test_a_visit_of_another_organization_is_not_closed_by_its_id(
    database: DatabaseUnderTest, stay: Stay
) -> None:
    other = await Tenant.create(database)
    async with transaction(database, "opsc_ingest") as conn:
        end = (END, 1.0, 2.0, "moved", None, *EXIT_FIX)
        with pytest.raises(VisitNotOpen):
            await visits.close(conn, [Departure(other.org_id, stay.visit.id, *end)])


@pytest.mark.parametrize(
    ("columns", "constraint"),
    [
        ({"entry_cause": "silence"}, "visits_entry_cause_check"),
        ({"entry_inferred": "guess"}, "visits_entry_inferred_check"),
        ({"exit_inferred": "timer"}, "visits_exit_inferred_of_an_exit"),
        ({"exit_cause": "initial", "left_at": END}, "visits_exit_cause_check"),
    ],
)
async def test_what_no_visit_can_say_is_refused(
    database: DatabaseUnderTest, columns: dict[str, Any], constraint: str
) -> None:
    tenant = await Tenant.create(database)
    with pytest.raises(psycopg.errors.CheckViolation, match=constraint):
        async with transaction(database, "opsc_ingest") as conn:
            await visits.insert(conn, [an_open_visit(tenant, **columns)])
