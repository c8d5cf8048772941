"""Each query of the Grafana dashboard, asked of a real Prometheus that reads a running system."""

import asyncio
import json
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest

from mqtt import BrokerAddress, MqttError, Session, SessionOptions
from stack.host.programs import ProvisionError, provided, servers_dir
from stack.servers.postgres import free_port
from stack.servers.runtime import StackInfo
from tests.data import LACKING
from tests.deploy.test_monitoring import HISTOGRAM_PARTS, known, metrics_of
from tests.examples.test_examples import fixes, run, sign_in
from tests.stack.command import WAIT_S, Installation

DASHBOARD = Path(__file__).parents[2] / "deploy" / "grafana" / "ops-companion.json"
PROGRAM = "usr/bin/prometheus"
ANY_PORT = 0
JOBS = {"listener": "opsc-listen", "ingest": "opsc-ingest", "deliver": "opsc-deliver"}
JOBS |= {"api": "opsc-api"}

EMPTY = {"opsc_ingest_failures_total": "no term of ingest ended in an error"}
"""Metrics that a healthy system does not have yet, and why."""


def panels() -> list[dict[str, Any]]:
    return json.loads(DASHBOARD.read_text())["panels"]


def queries() -> list[str]:
    """Return the queries of all panels."""
    return [target["expr"] for panel in panels() for target in panel.get("targets", ())]


def _is_excused(query: str) -> bool:
    return any(metric in query for metric in EMPTY)


def test_panels_are_named_explained_and_do_not_overlap() -> None:
    shown = [panel for panel in panels() if panel["type"] != "row"]
    titles = [panel["title"] for panel in shown]
    assert len(set(titles)) == len(titles)
    assert all(panel["description"].endswith(".") and panel["targets"] for panel in shown)
    cells = [
        (panel["gridPos"]["x"] + across, panel["gridPos"]["y"] + down)
        for panel in panels()
        for across in range(panel["gridPos"]["w"])
        for down in range(panel["gridPos"]["h"])
    ]
    assert len(set(cells)) == len(cells)
    assert max(across for across, _ in cells) < 24


async def test_queries_ask_only_for_metrics_that_exist() -> None:
    asked = {HISTOGRAM_PARTS.sub("", name) for query in queries() for name in metrics_of(query)}
    assert asked <= (await known()).keys()


@pytest.fixture(scope="module")
def prometheus_program() -> Path:
    """Prometheus of the system, else a private copy."""

    def find(roots: Sequence[Path]) -> Path | None:
        return next((root / PROGRAM for root in roots if (root / PROGRAM).exists()), None)

    try:
        return provided(servers_dir() / "prometheus", ("prometheus",), find)
    except ProvisionError as error:
        reason = " ".join(str(error).split())[:200]
        pytest.skip(f"{LACKING}prometheus, for the queries of the dashboard ({reason})")


@pytest.fixture
def prometheus(
    prometheus_program: Path, installation: Installation, tmp_path: Path
) -> Iterator[str]:
    """The URL of a Prometheus that reads the pages of the system every second."""
    jobs = [_job(installation.stack(), part, job) for part, job in JOBS.items()]
    configuration = {"global": {"scrape_interval": "1s"}, "scrape_configs": jobs}
    (tmp_path / "prometheus.yml").write_text(json.dumps(configuration))  # which is YAML, too
    address = f"127.0.0.1:{free_port(ANY_PORT)}"
    with (tmp_path / "prometheus.log").open("w") as log:
        process = subprocess.Popen(
            [
                prometheus_program,
                f"--config.file={tmp_path / 'prometheus.yml'}",
                f"--storage.tsdb.path={tmp_path / 'data'}",
                f"--web.listen-address={address}",
            ],
            stdout=log,
            stderr=log,
        )
    try:
        yield f"http://{address}"
    finally:
        process.terminate()
        process.wait(WAIT_S)


def _job(stack: StackInfo, part: str, job: str) -> dict[str, Any]:
    page = urlsplit(stack.parts[part].metrics_url or "")
    return {"job_name": job, "static_configs": [{"targets": [page.netloc]}]}


@pytest.mark.acceptance
async def test_every_query_returns_data(
    prometheus: str, installation: Installation, tmp_path: Path
) -> None:
    stack = installation.stack()
    system = await sign_in(stack)
    variables = await system.prepared()
    endpoint = {"url": f"http://127.0.0.1:{free_port(ANY_PORT)}/", "types": ["*"]}
    await system.post("webhook-endpoints", endpoint)  # nobody listens there: attempts fail
    deadline = time.monotonic() + WAIT_S
    silent = queries()
    while silent:
        assert time.monotonic() < deadline, f"these return nothing: {silent}"
        await _use(stack, tmp_path, variables)
        silent = [query for query in silent if not await _has_data(prometheus, query)]
        silent = [query for query in silent if not _is_excused(query)]


async def _use(stack: StackInfo, folder: Path, variables: dict[str, str]) -> None:
    """Send a drive through the zone, a message that cannot be read, a request and a WebSocket
    without login, and a connection of a device that nobody knows.
    """
    lines = fixes() + '{"time": "never", "lat": 1, "lon": 1}\n'
    store = folder / f"fixes-{time.monotonic_ns()}.db"
    await asyncio.to_thread(run, "tracker.py", stack.broker_url, store, text=lines, **variables)
    async with aiohttp.request("GET", f"{stack.api_url}/v1/assets") as answer:
        assert answer.status == 401
    async with aiohttp.ClientSession() as http, http.ws_connect(f"{stack.api_url}/v1/ws") as reader:
        await reader.send_json({"op": "authenticate", "token": "nobody's"})
        async for _ in reader:  # an error, and the end
            pass
        assert reader.close_code == 4001
    options = SessionOptions("trk_nobody", username="trk_nobody", password=b"nothing")
    with suppress(MqttError, TimeoutError):
        async with asyncio.timeout(2), Session(BrokerAddress.parse(stack.broker_url), options):
            await asyncio.Event().wait()


async def _has_data(prometheus: str, query: str) -> bool:
    asked = {"query": query.replace("$__rate_interval", "1m")}
    try:
        async with aiohttp.request("GET", f"{prometheus}/api/v1/query", params=asked) as answer:
            found = await answer.json()
    except aiohttp.ClientConnectorError:  # it has only begun
        return False
    assert found["status"] == "success", f"{query}: {found}"
    return bool(found["data"]["result"])
