"""A whole system that is backed up, restored elsewhere and started: it goes on where it was."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest

from mqtt import BrokerAddress, ConnectRefusedError, Session, SessionOptions
from stack.servers.runtime import StackInfo, read_stack
from tests.fork_server import fresh_starts
from tests.stack.command import OPSC, WAIT_S, opsc, plain_environment

pytestmark = [pytest.mark.acceptance, pytest.mark.usefixtures("programs")]

PLACE, AWAY = (52.5, 13.4), (52.503, 13.4)  # near enough to be there in three seconds
CIRCLE = {"type": "Point", "coordinates": PLACE[::-1]}


@contextmanager
def _up(data_dir: Path) -> Iterator[StackInfo]:
    """Run `opsc up` until the block ends."""
    output = data_dir.with_suffix(".out")
    with output.open("w") as file:
        process = subprocess.Popen(
            [OPSC, "up", "--data", data_dir],
            stdout=file,
            stderr=subprocess.STDOUT,
            env=plain_environment(),
        )
    try:
        _until(lambda: "ready;" in output.read_text() or process.poll() is not None)
        assert process.poll() is None, output.read_text()
        yield read_stack(data_dir)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(WAIT_S)


def _until(condition: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + WAIT_S
    while not (found := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return found


def _call(
    stack: StackInfo, path: str, body: Mapping[str, Any] | None = None, token: str | None = None
) -> Any:
    """Return a POST where there is a body, else a GET."""
    request = urllib.request.Request(
        stack.api_url + path,
        None if body is None else json.dumps(body).encode(),
        {"content-type": "application/json"}
        | ({} if token is None else {"authorization": f"Bearer {token}"}),
    )
    with urllib.request.urlopen(request, timeout=WAIT_S) as answer:
        return json.load(answer)


def _send(stack: StackInfo, tracker: Mapping[str, Any], place: tuple[float, float]) -> None:
    """Send one fix of now, as the tracker sends it with its own secret, once the
    listener knows it.
    """
    fix = {"time": datetime.now(UTC).isoformat(), "lat": place[0], "lon": place[1]}
    topic, payload = f"trackers/{tracker['id']}/fixes", json.dumps(fix).encode()
    options = SessionOptions(
        client_id=tracker["id"],
        username=tracker["id"],
        password=tracker["secret"].encode(),
        clean_start=True,
    )

    async def publish() -> bool:
        try:
            async with Session(BrokerAddress.parse(stack.broker_url), options) as session:
                await session.publish(topic, payload, qos=1)
        except ConnectRefusedError:
            return False
        return True

    _until(lambda: asyncio.run(publish()))


def _admin_token(stack: StackInfo) -> str:
    named = ("--name", "A", "--email", "a@b.c", "--json")
    made = opsc("org", "create", *named, "--data", stack.data_dir)
    return _call(stack, "/v1/auth/token", json.loads(made.stdout))["access_token"]


def test_a_restored_system_goes_on_where_it_was(data_dir: Path, tmp_path: Path) -> None:
    folder, key_file = tmp_path / "made", tmp_path / "key"
    with _up(data_dir) as stack:
        token = _admin_token(stack)
        key = _call(stack, "/v1/api-keys", {"name": "program"}, token)["secret"]
        endpoint = {"url": "http://127.0.0.1:9/", "types": ["*"]}
        _call(stack, "/v1/webhook-endpoints", endpoint, key)
        _call(stack, "/v1/zones", {"name": "Yard", "geometry": CIRCLE, "radius_m": 100}, key)
        asset = _call(stack, "/v1/assets", {"name": "Truck"}, key)
        tracker = _call(stack, "/v1/trackers", {"asset_id": asset["id"]}, key)
        _send(stack, tracker, PLACE)
        (visit,) = _until(lambda: _call(stack, "/v1/visits", None, key)["data"])
        (enter,) = _until(lambda: _call(stack, "/v1/events", None, key)["data"])
        with fresh_starts():
            made = opsc("backup", folder, "--secret-key", key_file, "--data", data_dir)
        assert made.returncode == 0, made.stderr
    elsewhere = data_dir.with_name("elsewhere")
    restore = ("restore", folder, "--secret-key", key_file, "--data", elsewhere)
    with fresh_starts():
        restored = opsc(*restore)
    assert restored.returncode == 0, restored.stderr
    again = opsc(*restore)
    assert again.returncode == 1
    assert "already has data" in again.stderr
    with _up(elsewhere) as stack:
        assert _call(stack, "/v1/visits", None, key)["data"] == [visit]
        for _ in range(2):  # an exit needs two fixes
            _send(stack, tracker, AWAY)
        _until(lambda: _call(stack, "/v1/visits", None, key)["data"][0]["left_at"])
        exit_, again = _until(
            lambda: len(found := _call(stack, "/v1/events", None, key)["data"]) > 1 and found
        )
        assert (again, exit_["seq"]) == (enter, enter["seq"] + 1)
        # the stored secret opens: deliveries fail for want of a receiver, not of a key
        errors = _until(lambda: _errors_of_deliveries(stack))
        assert set(errors) == {"no answer"}


def _errors_of_deliveries(stack: StackInfo) -> list[str]:
    """Return the errors of the last attempts, as far as there were any."""
    with psycopg.connect(stack.database["admin"]) as conn:
        rows = conn.execute(
            "SELECT last_error FROM webhook_deliveries WHERE last_error IS NOT NULL AND seq > 1"
        ).fetchall()
    return [error for (error,) in rows]
