"""Workers of pytest-xdist run whole files; `tests/scheduling/files.py`."""

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.scheduling.files import (
    MARK,
    OWN_SYSTEMS,
    ROOT,
    SHARED_FIXTURE,
    SHARED_SYSTEM,
    group_of,
)

TESTS = """
import pytest

@pytest.mark.parametrize("number", range(COUNT))
def test_it(number):
    pass
"""


def test_a_worker_runs_whole_files_and_groups_and_the_longest_come_first(tmp_path: Path) -> None:
    for name in "abcd":  # b has most tests, c takes longest, then a and d together
        tests = TESTS.replace("COUNT", "11" if name == "b" else "3")
        (tmp_path / f"test_{name}.py").write_text(tests)
    (tmp_path / "groups.py").write_text(
        "from pathlib import Path\n"
        "from tests.scheduling import files\n"
        "files.ROOT = Path(__file__).parent\n"
        "files.DURATIONS_S = {'test_c.py': 9.0, 'test_d.py': 5.0}\n"
        "from tests.scheduling.files import *\n"
    )
    for name in "ad":
        with (tmp_path / f"test_{name}.py").open("a") as file:
            file.write(f"# {MARK} {SHARED_FIXTURE}\n")
    options = ("-p", "xdist", "-p", "groups", "-n", "2", "-v", "-p", "no:cacheprovider")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, "--rootdir", tmp_path, tmp_path],
        cwd=tmp_path,
        env={
            **os.environ,
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
            "PYTHONPATH": f"{tmp_path}:{ROOT}",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    ran = re.findall(r"\[(gw\d)\] .* PASSED test_(\w)\.py", done.stdout)
    assert len(ran) == 20, done.stdout + done.stderr
    workers = {name: {worker for worker, file in ran if file == name} for name in "abcd"}
    assert all(len(each) == 1 for each in workers.values()), workers
    assert workers["a"] == workers["d"]
    assert set(dict(reversed(ran)).values()) == {"c", "a"}, ran  # the first of each worker


def test_files_that_use_the_shared_system_are_of_its_group() -> None:
    """Else another worker starts a second one."""
    users = [
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "tests").rglob("test_*.py")
        if re.search(r"\binstallation\b.*Installation[,)\n]", path.read_text(encoding="utf-8"))
    ]
    assert len(users) > 5
    assert {group_of(file) for file in users} == {SHARED_SYSTEM}
    assert group_of("tests/stack/test_secrets.py") == OWN_SYSTEMS
