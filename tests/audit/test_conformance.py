"""schemathesis as `make audit` runs it, as a user of each role; its short form is as an admin, with
few examples. What it makes up at random is in `test_random_requests.py`, so that two workers share
its minutes."""

from pathlib import Path

import pytest

from tests.api.belongings import one_of_everything
from tests.api.running import RunningApi
from tests.audit.conformance import ROLES, Effort, Foreign, assert_conforms, conformance

pytestmark = pytest.mark.long


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("role", ROLES)
async def test_every_request_gets_an_answer_that_is_documented_and_our_own(
    api: RunningApi, tmp_path: Path, role: str
) -> None:
    await assert_conforms(api, tmp_path, role, "examples,coverage")


@pytest.mark.timeout(900)
async def test_what_is_reached_of_another_organization_would_be_found(
    api: RunningApi, tmp_path: Path
) -> None:
    east = api.organization("east")
    own = Foreign("eastern", await one_of_everything(api, east, "eastern"))
    tokens = {"east": east.admin.token or "", "west": api.organization("west").admin.token or ""}
    run = conformance(
        api.url, tokens, "east", own, tmp_path, Effort("coverage", examples=1, paths="^/v1/assets")
    )
    assert run.returncode == 1
    assert "a thing of another organization was reached" in run.stdout
    assert "eastern was given away" in run.stdout
