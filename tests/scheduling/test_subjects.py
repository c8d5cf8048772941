"""Which tests are of a subject; `tests/scheduling/subjects.py`."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.scheduling.files import ROOT
from tests.scheduling.subjects import is_about

QUOTES = "tests/api/resources/quotes/test_quote_pages.py::test_it_is_accepted_once"


@pytest.mark.parametrize(
    ("subject", "name", "expected"),
    [
        ("quotes", QUOTES, True),
        ("quote", QUOTES, True),
        ("quote-pages", QUOTES, True),
        ("page quotes", QUOTES, False),
        ("quot", QUOTES, False),
        ("quotes", "tests/api/limits/test_quotas.py::test_it", False),
        ("quotes", "tests/audit/test_walls.py::test_get[/v1/quotes/{quote_id}]", True),
        ("work-orders", "tests/use_cases/test_work_orders.py::test_it", True),
        ("orders", "tests/use_cases/test_work_orders.py::test_it", True),
        ("work_order", "tests/test_order.py::test_work", False),
        ("geometries", "tests/geofence/test_geometry.py::test_it", True),
        ("addresses", "tests/test_addresses.py::test_it", True),
        ("address", "tests/test_addresses.py::test_it", True),
        ("h02", "tests/listener/tcp/test_h02.py::test_it", True),
        ("status", "tests/stack/test_status.py::test_it", True),
    ],
)
def test_a_subject_is_words_of_a_name(subject: str, name: str, expected: bool) -> None:
    assert is_about(subject, [name]) is expected


def test_marks_say_what_names_do_not(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(
        "from tests.scheduling import subjects\n\n"
        "pytest_addoption = subjects.add_option\n\n"
        "def pytest_configure(config):\n    config.pluginmanager.register(subjects)\n"
    )
    (tmp_path / "test_papers.py").write_text(
        "import pytest\n\n"
        "@pytest.mark.about('quotes', 'work orders')\ndef test_signature():\n    pass\n\n"
        "def test_width():\n    pass\n"
    )

    def of(subject: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [
                *(sys.executable, "-m", "pytest", "--of", subject, "-p", "no:cacheprovider"),
                *("--rootdir", tmp_path, tmp_path),
            ],
            env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONPATH": str(ROOT)},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )

    assert "1 passed, 1 deselected" in of("work-orders").stdout
    assert "2 passed" in of("papers").stdout
    refused = of("geofences")
    assert refused.returncode == pytest.ExitCode.USAGE_ERROR
    assert "no test is of 'geofences'" in refused.stderr
