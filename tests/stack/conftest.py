"""Fixtures of the tests that run `opsc` as a user does."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers import folder_for_data


@pytest.fixture
def data_dir() -> Iterator[Path]:
    """A data folder, not yet made, that the servers' user can walk to."""
    folder = Path(tempfile.mkdtemp(prefix="opsc-up-", dir=folder_for_data()))
    folder.chmod(0o755)
    yield folder / "data"
    shutil.rmtree(folder, ignore_errors=True)
