"""A server of which status and doctor see what a test puts there."""

from collections.abc import Iterator

import pytest

from service.former_settings import TODAYS_NAMES
from stack.installed import database_checks, server_checks
from stack.servers.settings import known_variables
from tests.servers import data_folder
from tests.stack.server import MadeServer


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """The settings of the files alone."""
    for name in (*known_variables(), *TODAYS_NAMES):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[MadeServer]:
    """A server without units yet; everybody may walk to its files."""
    with data_folder() as folder:
        monkeypatch.setattr(database_checks, "BACKUPS", folder / "backups")
        monkeypatch.setattr(server_checks, "NGINX_SITE", folder / "nginx")
        yield MadeServer(folder, monkeypatch)
