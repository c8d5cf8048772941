"""The short form of the conformance run of `make audit`: an admin, all phases, few examples."""

from pathlib import Path

from tests.api.belongings import one_of_everything
from tests.api.running import RunningApi
from tests.audit.conformance import Effort, Foreign, conformance

SECRET = "southernmost"


async def test_every_request_gets_an_answer_that_is_documented_and_our_own(
    api: RunningApi, tmp_path: Path
) -> None:
    north, south = api.organization("north"), api.organization(SECRET)
    await one_of_everything(api, north, "north")
    foreign = Foreign(SECRET, await one_of_everything(api, south, SECRET))
    tokens = {"north": north.admin.token or "", "south": south.admin.token or ""}
    run = conformance(api.url, tokens, "north", foreign, tmp_path, Effort(examples=3))
    assert run.returncode == 0, run.stdout[-10_000:] + run.stderr
    assert "Tested: 0" not in run.stdout


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
