"""docs/simulator.md says what `opsc sim` does."""

import inspect
import re
from pathlib import Path

from device_sim.crew import PUNCH_FAULTS
from device_sim.faults import FAULTS
from stack.cli.sim import sim

PAGE = (Path(__file__).parents[3] / "docs" / "simulator.md").read_text()


def test_every_fault_is_on_the_page_as_the_table_has_it() -> None:
    shown = re.findall(r"^\| `(\w+)` \| (.+) \| (.+) \|$", PAGE, re.MULTILINE)
    of_fixes = [
        (
            name,
            fault.meaning,
            fault.becomes if fault.reason is None else f"{fault.becomes}: `{fault.reason}`",
        )
        for name, fault in FAULTS.items()
    ]
    assert shown == [*of_fixes, *((name, *fault) for name, fault in PUNCH_FAULTS.items())]


def test_every_option_is_on_the_page() -> None:
    renamed = {"payload_format": "format", "as_json": "json", "drain_seconds": "drain-seconds"}
    elsewhere = {"data", "api_url"}  # of every command; a setting
    for name in inspect.signature(sim).parameters.keys() - elsewhere:
        assert f"--{renamed.get(name, name).replace('_', '-')}" in PAGE, name
