"""docs/simulator.md says what `opsc sim` does."""

import re
from pathlib import Path

from device_sim.crew import PUNCH_FAULTS
from device_sim.faults import FAULTS
from stack.cli.sim import sim
from tests.stack.cli.options import help_of

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


def test_every_option_says_what_it_does_and_the_page_names_no_other() -> None:
    options = help_of(sim)
    assert [name for name, said in options.items() if not said] == []
    assert set(re.findall(r"`(--[a-z-]+)", PAGE)) <= options.keys()
