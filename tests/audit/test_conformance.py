"""schemathesis as `make audit` runs it, as a user of each role; its short form is as an admin, with
few examples."""

import os
from pathlib import Path

import pytest

from tests.api.belongings import one_of_everything
from tests.api.running import RunningApi
from tests.audit.conformance import Effort, Foreign, conformance

pytestmark = pytest.mark.long

SECRET = "southernmost"
LONG = os.environ.get("AUDIT") == "long"
ROLES = ("admin", "dispatcher", "technician", "viewer") if LONG else ("admin",)
EFFORT = Effort(examples=30) if LONG else Effort(examples=3)


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("role", ROLES)
async def test_every_request_gets_an_answer_that_is_documented_and_our_own(
    api: RunningApi, tmp_path: Path, role: str
) -> None:
    north, south = api.organization("north"), api.organization(SECRET)
    await one_of_everything(api, north, "north")
    foreign = Foreign(SECRET, await one_of_everything(api, south, SECRET))
    tokens = {"north": getattr(north, role).token, "south": south.admin.token or ""}
    run = conformance(api.url, tokens, "north", foreign, tmp_path, EFFORT)
    print(run.stdout[run.stdout.rfind("= SUMMARY =") :])
    assert run.returncode == 0, run.stdout[-10_000:] + run.stderr
    assert "Tested: 0" not in run.stdout


@pytest.mark.timeout(900)
async def test_what_is_reached_of_another_organization_would_be_found(
    api: RunningApi, tmp_path: Path
) -> None:
    east = api.organization("east")
    own = Foreign("eastern", await one_of_everything(api, east, "eastern"))
    tokens = {"east": east.admin.token or "", "west": api.organization("west").admin.token or ""}
    run = conformance(api.url, tokens, "east", own, tmp_path, Effort("coverage", examples=1))
    assert run.returncode == 1
    assert "a thing of another organization was reached" in run.stdout
    assert "eastern was given away" in run.stdout
