"""The role as a process: its settings, its signals, its certificate."""

import asyncio
import base64
import json
import os
import secrets
import signal
import socket
import ssl
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from api.__main__ import main
from api.http.server import ACCEPTED_AT_ONCE
from stack.servers.postgres import free_port
from stack.servers.tls import development_certificate
from tests.servers import DatabaseUnderTest, PostgresUnderTest, beside
from tests.waiting import until

SECRET_KEY = base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()
ANY_PORT = 0


def start(settings: Mapping[str, str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "api"],
        env=os.environ | settings,
        stderr=subprocess.PIPE,
        text=True,
    )


@contextmanager
def serving(
    database: DatabaseUnderTest, **more: str
) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """Provide a process that is asked to stop at the end, whatever happens."""
    port = free_port(ANY_PORT)
    settings = {
        "OPSC_DATABASE_URL": database.url("opsc_app"),
        "OPSC_SECRET_KEY": SECRET_KEY,
        "OPSC_API_PORT": str(port),
        "OPSC_API_HTTP": f"127.0.0.1:{free_port(ANY_PORT)}",
        "OPSC_LOG_LEVEL": "warning",
    }
    process = start(settings | more)
    try:
        yield process, port
    finally:
        process.terminate()
        process.communicate(timeout=20)


async def answers(url: str, process: subprocess.Popen[str], **options: Any) -> str:
    """Return the body of /readyz once the process serves."""
    while process.poll() is None:
        try:
            async with aiohttp.request("GET", url + "/readyz", **options) as response:
                return await response.text()
        except aiohttp.ClientConnectorError:
            await asyncio.sleep(0.05)
    raise AssertionError(f"the API ended: {process.communicate()[1]}")


@pytest.mark.parametrize(
    ("workers", "end"),
    [
        pytest.param("1", signal.SIGTERM, marks=pytest.mark.fresh_start),
        ("1", signal.SIGINT),
        ("2", signal.SIGTERM),
    ],
)
async def test_a_signal_ends_it_in_order(
    database: DatabaseUnderTest, workers: str, end: signal.Signals
) -> None:
    with serving(database, OPSC_API_PROCESSES=workers) as (process, port):
        assert await answers(f"http://127.0.0.1:{port}", process) == '{"status":"ok"}'
        process.send_signal(end)
        _, complaints = process.communicate(timeout=20)
        assert (process.returncode, complaints) == (0, "")


@pytest.mark.parametrize("workers", ["1", "2"])
async def test_each_process_listens_by_several_descriptors(
    database: DatabaseUnderTest, workers: str
) -> None:
    with serving(database, OPSC_API_PROCESSES=workers) as (process, port):
        await answers(f"http://127.0.0.1:{port}", process)
        parent = process.pid
        await until(lambda: _accepting(parent, is_one=workers == "1") == int(workers))


def _accepting(pid: int, *, is_one: bool) -> int:
    """Return how many processes accept several connections at once: this one, or its workers."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    every = [pid] if is_one else map(int, children)
    return sum(_listens_by(each) >= ACCEPTED_AT_ONCE for each in every)


def _listens_by(pid: int) -> int:
    """Return the number of descriptors that a process has of one socket at most."""
    links: Counter[str] = Counter()
    with suppress(OSError):
        for descriptor in Path(f"/proc/{pid}/fd").iterdir():
            links[os.readlink(descriptor)] += 1
    return max((count for link, count in links.items() if link.startswith("socket:")), default=0)


async def test_it_speaks_tls_1_3_and_nothing_older(
    database: DatabaseUnderTest, tmp_path: Path
) -> None:
    made = development_certificate(tmp_path)
    trusting = ssl.create_default_context(cafile=made.chain)
    with serving(database, OPSC_TLS_CERT=str(made.chain), OPSC_TLS_KEY=str(made.key)) as (
        process,
        port,
    ):
        url = f"https://127.0.0.1:{port}"
        assert await answers(url, process, ssl=trusting) == '{"status":"ok"}'
        async with aiohttp.request("GET", url + "/healthz", ssl=trusting) as response:
            assert response.headers["Strict-Transport-Security"] == "max-age=31536000"
        with (
            socket.create_connection(("127.0.0.1", port)) as plain,
            trusting.wrap_socket(plain, server_hostname="127.0.0.1") as secured,
        ):
            assert secured.version() == "TLSv1.3"
        trusting.maximum_version = ssl.TLSVersion.TLSv1_2
        with (
            socket.create_connection(("127.0.0.1", port)) as plain,
            pytest.raises(ssl.SSLError),
        ):
            trusting.wrap_socket(plain, server_hostname="127.0.0.1")


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({}, "OPSC_DATABASE_URL"),
        ({}, "OPSC_SECRET_KEY"),
        ({"OPSC_SECRET_KEY": "short"}, "OPSC_SECRET_KEY"),
        ({"OPSC_API_PORT": "http"}, "OPSC_API_PORT"),
        ({"OPSC_API_PROCESSES": "0"}, "OPSC_API_PROCESSES"),
        ({"OPSC_API_ALLOWED_ORIGINS": "*"}, "OPSC_API_ALLOWED_ORIGINS"),
        ({"OPSC_API_ALLOWED_ORIGINS": "https://a.example/x"}, "OPSC_API_ALLOWED_ORIGINS"),
        (
            {
                "OPSC_DATABASE_URL": "postgresql://x",
                "OPSC_SECRET_KEY": SECRET_KEY,
                "OPSC_TLS_CERT": __file__,
            },
            "OPSC_TLS_KEY",
        ),
    ],
)
def test_wrong_settings_are_named_and_the_exit_code_is_2(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    settings: Mapping[str, str],
    named: str,
) -> None:
    for name in [name for name in os.environ if name.startswith("OPSC_")]:
        monkeypatch.delenv(name)
    for name, text in settings.items():
        monkeypatch.setenv(name, text)
    assert main() == 2
    complaints = capsys.readouterr().err
    assert named in complaints
    assert "short" not in complaints


async def test_it_does_not_start_over_a_login_that_sees_every_organization(
    database: DatabaseUnderTest,
) -> None:
    for role in ("admin", "opsc_ingest"):
        with serving(database, OPSC_DATABASE_URL=database.url(role)) as (process, _):
            _, complaints = process.communicate(timeout=30)
            assert process.returncode == 1
            assert "opsc_app" in complaints
            assert "Traceback" not in complaints


async def test_without_a_database_it_waits_and_says_so(
    private_postgres: Callable[[], PostgresUnderTest],
) -> None:
    postgres = private_postgres()
    database = postgres.migrated_database()
    await asyncio.to_thread(postgres.stop)
    with serving(database, OPSC_LOG_LEVEL="info") as (process, port):
        url = f"http://127.0.0.1:{port}"
        assert '"code":"unavailable"' in await answers(url, process)
        assert await status(url + "/healthz") == 200
        assert await status(url + "/openapi.json") == 200
        assert await status(url + "/v1/assets", Authorization="Bearer opsk_x") == 503
        await beside(postgres.start)
        while await status(url + "/readyz") == 503:
            assert process.poll() is None
            await asyncio.sleep(0.05)
        assert await status(url + "/v1/assets", Authorization="Bearer opsk_x") == 401
        process.terminate()
        _, log = process.communicate(timeout=20)
    assert process.returncode == 0
    lines = [json.loads(line) for line in log.splitlines()]
    told = [line["event"] for line in lines if "database" in line["event"]]
    assert (told[0], told[-1]) == ("waiting for the database", "connected to the database")
    assert "exception" not in log
    assert "Traceback" not in log


async def test_it_ends_in_order_while_it_waits(
    private_postgres: Callable[[], PostgresUnderTest],
) -> None:
    postgres = private_postgres()
    database = postgres.migrated_database()
    await asyncio.to_thread(postgres.stop)
    with serving(database) as (process, port):
        await answers(f"http://127.0.0.1:{port}", process)
        process.terminate()
        process.communicate(timeout=20)
    assert process.returncode == 0


async def test_a_login_that_sees_every_organization_is_not_served_later_either(
    private_postgres: Callable[[], PostgresUnderTest],
) -> None:
    postgres = private_postgres()
    database = postgres.migrated_database()
    await asyncio.to_thread(postgres.stop)
    with serving(database, OPSC_DATABASE_URL=database.url("admin")) as (process, port):
        url = f"http://127.0.0.1:{port}"
        await answers(url, process)
        await beside(postgres.start)
        assert process.stderr is not None
        while "row-level security: opsc_app" not in process.stderr.readline():
            assert process.poll() is None
        assert await status(url + "/readyz") == 503
        assert await status(url + "/v1/assets", Authorization="Bearer opsk_x") == 503


async def status(url: str, **headers: str) -> int:
    async with aiohttp.request("GET", url, headers=headers) as response:
        return response.status
