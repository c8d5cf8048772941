"""However long the database was away, each role is ready soon after it is back."""

import asyncio
import base64
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from stack.servers.postgres import free_port
from tests.listener.running import RoleProcess, running
from tests.servers import ANY_PORT, DatabaseUnderTest, PostgresUnderTest, beside

AWAY_S = 18.0
"""A pause that doubles each time, and has no bound, is 16 s long by then and has just begun."""
SOON_S = 2.0


async def test_each_role_is_ready_within_two_seconds_of_the_databases_return(
    private_postgres: Callable[[], PostgresUnderTest], tmp_path: Path
) -> None:
    postgres = private_postgres()
    with all_roles(postgres.migrated_database(), tmp_path) as roles:
        waits = await seconds_until_ready(postgres, roles, AWAY_S)
    assert {name: wait_s for name, wait_s in waits.items() if wait_s > SOON_S} == {}


@contextmanager
def all_roles(database: DatabaseUnderTest, folder: Path) -> Iterator[Mapping[str, RoleProcess]]:
    """Provide a process of each role, ready."""
    key = base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()
    api, api_pages, deliver_pages = (free_port(ANY_PORT) for _ in range(3))
    of_api = {
        "OPSC_DATABASE_URL": database.url("opsc_app"),
        "OPSC_SECRET_KEY": key,
        "OPSC_API_PORT": str(api),
        "OPSC_API_HTTP": f"127.0.0.1:{api_pages}",
    }
    of_deliver = {
        "OPSC_DATABASE_URL": database.url("opsc_deliver"),
        "OPSC_SECRET_KEY": key,
        "OPSC_DELIVER_HTTP": f"127.0.0.1:{deliver_pages}",
    }
    others = {
        "api": RoleProcess("api", f"127.0.0.1:{api}", folder / "api.log", of_api),
        "deliver": RoleProcess(
            "webhooks", of_deliver["OPSC_DELIVER_HTTP"], folder / "deliver.log", of_deliver
        ),
    }
    with running(database) as system:
        try:
            for role in others.values():
                role.start()
            yield {"ingest": system.ingest, "listen": system.listener, **others}
        finally:
            for role in others.values():
                role.stop()


async def seconds_until_ready(
    postgres: PostgresUnderTest, roles: Mapping[str, RoleProcess], away_s: float
) -> Mapping[str, float]:
    """Stop the database for `away_s`, and return how long each role needed after its return."""

    def wait_s(role: RoleProcess) -> float:
        role.wait_until_ready()
        return time.monotonic() - back_s

    await asyncio.to_thread(postgres.stop)
    assert not await asyncio.to_thread(roles["api"].is_ready)  # its pool begins to try
    await asyncio.sleep(away_s)
    await beside(postgres.start)
    back_s = time.monotonic()
    waits = await asyncio.gather(*(asyncio.to_thread(wait_s, role) for role in roles.values()))
    return dict(zip(roles, waits, strict=True))
