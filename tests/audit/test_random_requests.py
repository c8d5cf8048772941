"""schemathesis as in `test_conformance.py`, with requests that it makes up, and orders of them."""

from pathlib import Path

import pytest

from tests.api.running import RunningApi
from tests.audit.conformance import ROLES, assert_conforms

pytestmark = pytest.mark.long


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("phase", ["fuzzing", "stateful"])
async def test_what_is_made_up_gets_an_answer_that_is_documented_and_our_own(
    api: RunningApi, tmp_path: Path, role: str, phase: str
) -> None:
    await assert_conforms(api, tmp_path, role, phase)
