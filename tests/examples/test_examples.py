"""Each program of examples/, run against a whole system."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from standardwebhooks import Webhook

from stack.cli.organizations.org import create_with_admin
from stack.servers.postgres import free_port
from stack.servers.runtime import StackInfo
from tests.clients.node import NODE
from tests.stack.command import WAIT_S, Installation

EXAMPLES = Path(__file__).parents[2] / "examples"
NODE_MODULES = EXAMPLES.parent / "clients" / "node_modules"
QUARRY = (8.54, 47.37)
ANY_PORT = 0

pytestmark = [pytest.mark.acceptance, pytest.mark.usefixtures("programs")]


class System:
    """A running system with an organization, a zone, and an asset that carries a tracker."""

    def __init__(self, stack: StackInfo, token: str) -> None:
        self.stack = stack
        self._token = token

    async def post(self, path: str, body: object) -> Any:
        headers = {"Authorization": f"Bearer {self._token}"}
        url = f"{self.stack.api_url}/v1/{path}"
        async with aiohttp.request("POST", url, json=body, headers=headers) as answer:
            assert answer.status == 201, await answer.text()
            return await answer.json()

    async def prepared(self) -> dict[str, str]:
        """Return the variables that the examples need."""
        lon, lat = QUARRY
        quarry = {"type": "Point", "coordinates": [lon, lat]}
        earlier = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
        zone = {"name": "Quarry", "kind": "restricted", "radius_m": 50, "geometry": quarry}
        await self.post("zones", zone | {"valid_from": earlier})
        for number in range(7):
            asset = await self.post("assets", {"name": f"Truck {number}"})
        tracker = await self.post("trackers", {"asset_id": asset["id"], "assigned_from": earlier})
        key = await self.post("api-keys", {"name": "dispatcher"})
        return {
            "TRACKER_ID": tracker["id"],
            "TRACKER_SECRET": tracker["secret"],
            "OPSC_API_URL": self.stack.api_url,
            "OPSC_API_KEY": key["secret"],
        }


async def sign_in(stack: StackInfo) -> System:
    admin = await create_with_admin(
        stack.database["opsc_owner"], "Works", "a@b.example", "unlimited"
    )
    url = f"{stack.api_url}/v1/auth/token"
    async with aiohttp.request("POST", url, json=admin._asdict()) as answer:
        return System(stack, (await answer.json())["access_token"])


def fixes() -> str:
    """Return a drive through the quarry, from the past until now."""
    lon, lat = QUARRY
    start = datetime.now(UTC) - timedelta(seconds=20)
    rows = [
        {"time": (start + timedelta(seconds=5 * n)).isoformat(), "lat": lat, "lon": lon + east}
        for n, east in enumerate((-0.001, 0.0, 0.001, 0.002))
    ]
    return "".join(json.dumps(row) + "\n" for row in rows)


def run(name: str, *arguments: object, text: str = "", **variables: str) -> tuple[int, str]:
    """Return an example until it ends: its exit code, and what it printed."""
    done = subprocess.run(
        [sys.executable, EXAMPLES / name, *map(str, arguments)],
        env=os.environ | variables,
        input=text,
        capture_output=True,
        text=True,
        timeout=WAIT_S,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


RECEIVERS: dict[str, list[str | Path]] = {
    "webhook_receiver.py": [sys.executable, EXAMPLES / "webhook_receiver.py"],
    "webhook_fastapi.py": [
        *(sys.executable, "-m", "uvicorn", "webhook_fastapi:app", "--log-level", "error"),
        *("--app-dir", EXAMPLES, "--port"),
    ],
    "webhook_express.js": [NODE, EXAMPLES / "webhook_express.js"],
}
"""The programs that receive webhooks; the port comes behind."""


class Receiver:
    """A program that receives webhooks, while it runs."""

    def __init__(self, name: str, secret: str, port: int, output: Path) -> None:
        self._output = output
        with output.open("w") as file:
            self.process = subprocess.Popen(
                [*RECEIVERS[name], str(port)],
                env=os.environ | {"WEBHOOK_SECRET": secret, "NODE_PATH": str(NODE_MODULES)},
                stdout=file,
                stderr=subprocess.STDOUT,
            )

    def printed(self, is_enough: Callable[[list[str]], bool]) -> list[str]:
        deadline = time.monotonic() + WAIT_S
        while not is_enough(lines := self._output.read_text().splitlines()):
            assert time.monotonic() < deadline, lines
            time.sleep(0.1)
        return lines


@pytest.fixture
def receiving(tmp_path: Path) -> Iterator[Callable[[str, str, int], Receiver]]:
    started: list[Receiver] = []

    def start(name: str, secret: str, port: int) -> Receiver:
        started.append(Receiver(name, secret, port, tmp_path / f"received-{len(started)}"))
        return started[-1]

    yield start
    for receiver in started:
        receiver.process.terminate()
        receiver.process.wait(WAIT_S)


async def test_what_a_tracker_stored_arrives_is_told_and_listed(
    installation: Installation,
    tmp_path: Path,
    receiving: Callable[[str, str, int], Receiver],
) -> None:
    stack = installation.stack()
    system = await sign_in(stack)
    variables = await system.prepared()
    receivers: list[Receiver] = []
    for name in RECEIVERS:
        port = free_port(ANY_PORT)
        url = f"http://127.0.0.1:{port}/"
        endpoint = await system.post("webhook-endpoints", {"url": url, "types": ["*"]})
        receivers.append(receiving(name, endpoint["secret"], port))
        assert await posted(port, {}) == 401  # it listens: a failed attempt comes again much later

    store = tmp_path / "fixes.db"
    nowhere = f"mqtt://127.0.0.1:{free_port(ANY_PORT)}"
    sent = await asyncio.to_thread(
        run, "tracker.py", nowhere, store, text=fixes(), GIVE_UP_S="0.1", **variables
    )
    assert sent == (
        1,
        f"4 fixes wait in {store}\n{nowhere}: [Errno 111] Connection refused; trying again\n",
    )
    wrong = variables | {"TRACKER_SECRET": "wrong", "GIVE_UP_S": "3"}
    code, told = await asyncio.to_thread(run, "tracker.py", stack.broker_url, store, **wrong)
    assert code == 1
    assert told.count("Bad user name or password; trying again") == 1
    sent = await asyncio.to_thread(run, "tracker.py", stack.broker_url, store, **variables)
    assert sent == (0, f"0 fixes wait in {store}\n")

    for receiver in receivers:
        lines = await asyncio.to_thread(receiver.printed, lambda lines: len(lines) >= 3)
        told = sorted(json.loads(line)["data"]["transition"] for line in lines[1:])
        assert told == ["enter", "exit"]

    seq = tmp_path / "seq"
    code, listed = await asyncio.to_thread(run, "dispatcher.py", seq, PAGE="2", **variables)
    assert code == 0, listed
    rows = listed.splitlines()
    assert sum(row.endswith("not seen yet") for row in rows) == 6
    assert "Truck 6: 47.37000 8.54200" in rows
    assert rows[-2:] == [f"{n} asset.geofence_breach Quarry" for n in (1, 2)]
    code, listed = await asyncio.to_thread(run, "dispatcher.py", seq, **variables)
    assert "geofence_breach" not in listed


@pytest.mark.parametrize("name", ["tracker.py", "dispatcher.py", "webhook_receiver.py"])
def test_what_is_called_without_arguments_says_how_it_is_called(name: str) -> None:
    code, told = run(name)
    assert code == 1
    assert f"python examples/{name}" in told
    assert "Traceback" not in told


@pytest.mark.parametrize("name", RECEIVERS)
async def test_a_webhook_that_is_not_ours_is_refused(
    receiving: Callable[[str, str, int], Receiver], name: str
) -> None:
    port = free_port(ANY_PORT)
    receiver = receiving(name, "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=", port)
    old = {"webhook-id": "evt_1", "webhook-timestamp": "1", "webhook-signature": "v1,x"}
    forged = old | {"webhook-timestamp": str(int(time.time()))}
    for headers in (old, forged, {}):
        assert await posted(port, headers) == 401
    lines = receiver.printed(lambda lines: len(lines) >= 3)
    assert [line.partition(":")[0] for line in lines] == ["refused"] * 3


@pytest.mark.parametrize("name", RECEIVERS)
async def test_an_event_that_comes_again_and_again_is_printed_once(
    receiving: Callable[[str, str, int], Receiver], name: str
) -> None:
    """Also while a secret is being rotated, with a signature by each."""
    old, new = (f"whsec_{base64.b64encode(bytes([n]) * 24).decode()}" for n in (1, 2))
    port = free_port(ANY_PORT)
    receiver = receiving(name, new, port)
    assert await posted(port, {}) == 401

    async def post(number: int) -> None:
        body = json.dumps({"id": f"evt_{number}"})
        now = datetime.now(UTC)
        signatures = [Webhook(key).sign(f"evt_{number}", now, body) for key in (old, new)]
        headers = {
            "webhook-id": f"evt_{number}",
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": " ".join(signatures),
            "content-type": "application/json",
        }
        assert await posted(port, headers, body.encode()) == 204

    async with asyncio.TaskGroup() as posts:
        for number in [*range(10)] * 8:
            posts.create_task(post(number))
    await post(10)
    lines = await asyncio.to_thread(receiver.printed, lambda lines: "evt_10" in lines[-1])
    assert sorted(lines[1:]) == sorted(set(lines[1:]))
    assert len(lines) == 12


async def posted(port: int, headers: dict[str, str], body: bytes = b"{}") -> int:
    """Return the status of the answer, once the receiver listens."""
    while True:
        try:
            async with aiohttp.request(
                "POST", f"http://127.0.0.1:{port}/", data=body, headers=headers
            ) as answer:
                return answer.status
        except aiohttp.ClientConnectorError:
            await asyncio.sleep(0.1)
