"""Fixtures of the tests that run `opsc` as a user does."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers import data_folder


@pytest.fixture
def data_dir() -> Iterator[Path]:
    """A data folder, not yet made, that the servers' user can walk to."""
    with data_folder() as folder:
        yield folder / "data"
