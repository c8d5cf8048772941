"""`opsc devices`: the operator sees who claims what, and settles it."""

import asyncio
import json
from uuid import UUID

import psycopg
import pytest
from typer.testing import CliRunner, Result

from stack.cli.organizations.devices import devices
from stack.errors import StackError
from telemetry.ids import format_id
from tests.ingest.tenants import Tenant
from tests.listener.registering import claim
from tests.listener.tcp.boxes import new_imei
from tests.servers import DatabaseUnderTest


def _opsc(database: DatabaseUnderTest, login: str, *arguments: str) -> Result:
    environment = {"OPSC_DATABASE_URL": database.url(login)}
    return CliRunner().invoke(devices, arguments, env=environment)


@pytest.mark.parametrize("login", ["opsc_owner", "admin"])
def test_claims_are_listed_confirmed_and_released(database: DatabaseUnderTest, login: str) -> None:
    imei = new_imei()
    tracker_id, south = asyncio.run(_claimed(database, imei))
    _refuse(database, south, imei)
    before = _revision(database, tracker_id)

    def listed() -> list[dict[str, str | None]]:
        rows = json.loads(_opsc(database, login, "claims", "--json").stdout)
        return [row for row in rows if row["imei"] == imei]

    first, second = listed()
    assert (first["state"], first["tracker_id"]) == ("provisional", format_id("trk", tracker_id))
    assert (second["state"], second["tracker_id"]) == ("refused", None)
    assert second["organization_id"] == format_id("org", south)
    assert imei in _opsc(database, login, "claims").stdout
    assert _opsc(database, login, "confirm", imei).exit_code == 0
    assert listed()[0]["state"] == "confirmed"
    assert _opsc(database, login, "release", imei).exit_code == 0
    assert [row["state"] for row in listed()] == ["refused"]
    assert _revision(database, tracker_id) > before  # listeners hear of it
    for command in ("confirm", "release"):
        result = _opsc(database, login, command, imei)
        assert isinstance(result.exception, StackError)


async def _claimed(database: DatabaseUnderTest, imei: str) -> tuple[UUID, UUID]:
    """Return the tracker of one organization that has claimed an IMEI, and another organization."""
    north, south = [await Tenant.create(database) for _ in range(2)]
    tracker_id = await north.loose_tracker()
    await claim(north, tracker_id, imei)
    return tracker_id, south.org_id


def _refuse(database: DatabaseUnderTest, org_id: UUID, imei: str) -> None:
    with psycopg.connect(database.url("opsc_app")) as conn:
        conn.execute("CALL act_for(%s, '')", (org_id,))
        assert conn.execute("SELECT refuses_imei(%s)", (imei,)).fetchone() == (True,)


def _revision(database: DatabaseUnderTest, tracker_id: UUID) -> int:
    ((revision,),) = database.run(
        "admin", "SELECT revision FROM trackers WHERE id = %s", (tracker_id,)
    )
    return revision
