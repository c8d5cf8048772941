"""What is shipped with `opsc plan`, and what docs/scale.md shows, is what the result files say."""

from pathlib import Path

import pytest

from benchmarks.scale.figures import figures, gigabytes, hardware
from stack.sizing.figures import shipped

ROOT = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def _in_the_clone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


def test_the_shipped_figures_are_those_of_the_newest_result_files() -> None:
    """Where this fails: python -m benchmarks.scale.figures."""
    assert shipped() == figures()


def test_all_were_measured_at_a_commit() -> None:
    commits = {source.commit for source in shipped().sources.values()}
    assert not {commit for commit in commits if "dirty" in commit or commit == "unknown"}


def test_the_table_of_hardware_is_what_opsc_plan_says() -> None:
    """Where this fails, put the table that the same command prints into the page."""
    assert hardware(shipped()) in (ROOT / "docs" / "scale.md").read_text()


@pytest.mark.parametrize(
    ("size_bytes", "shown"), [(4.2e6, "0.0042"), (1.26e9, "1.3"), (12.6e9, "13"), (1e13, "10,000")]
)
def test_gigabytes_have_two_digits(size_bytes: float, shown: str) -> None:
    assert gigabytes(size_bytes) == shown
