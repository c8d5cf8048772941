"""An administrator of the database, and an archive in a folder."""

from pathlib import Path

import pytest
import pytest_asyncio

from archive.store import Store
from tests.archive.fleet import admin_of
from tests.archive.passes import folder_store

admin = pytest_asyncio.fixture(admin_of)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return folder_store(tmp_path)
