"""The tests of this folder run on each supported Python, too: a fault of one was here."""

from pathlib import Path

import pytest

HERE = Path(__file__).parent


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark them before `-m` chooses."""
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker("every_python")
