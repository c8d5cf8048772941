"""No secret stands in what a system writes: logs, outputs, metrics, the API's document, problems,
the audit log, the log of attempts, backups.

A whole system runs with secrets that are known here, does a bit of everything, and is broken on
purpose. What it has written is searched for each of them, also in base64, hex and as in URLs. All
is logged: by every role at level debug, and by PostgreSQL every statement.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import aiohttp
import psycopg
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from mqtt import BrokerAddress, MqttError, PublishRefusedError, Session, SessionOptions
from stack.host.programs import Programs
from stack.servers.backup_folder import DUMP
from stack.servers.postgres import free_port
from stack.servers.runtime import StackInfo, load_secrets, read_stack
from tests.stack.cli.test_up import descendants
from tests.stack.command import Up, opsc, plain_environment

# Not forked, since command lines are looked at.
pytestmark = [pytest.mark.fresh_start, pytest.mark.acceptance, pytest.mark.usefixtures("programs")]

PATIENCE_S = 120.0
MADE_UP = {
    "a password that is wrong": "Wr0ng-Horse-Battery",
    "a new password": "Right-Horse-Battery-9",
    "a password of the mail server": "Ma1l-Horse-Battery",
    "a password in a broker URL": "Br0ker-Horse-Battery",
    "an API key that never was": "opsk_Wr0ngKeyT6yJ2m8rKfU1aVbC5nHsZeL4gXqYtR7iO",
    "a tracker secret that is wrong": "Wr0ngTrackerT6yJ2m8rKfU1aVbC5nHsZeL4",
    "a header of an endpoint": "Recv-Header-T6yJ2m8rKfU1aVbC5nHsZeL4",
    "a header that was replaced": "Recv-Header-9QwErTyUiOpAsDfGhJkL",
}

# No secrets, but they reach PostgreSQL as bound values alone.
BOUND_VALUES = ("ada@ada.example", "bob@ada.example", "eve@ada.example")


class World:
    """A running system; the secrets that it was given or gave, and what it wrote."""

    def __init__(self, stack: StackInfo, data_dir: Path) -> None:
        self.stack, self.data_dir = stack, data_dir
        self.secrets: dict[str, str] = dict(MADE_UP)
        self.written: dict[str, str] = {}
        self.tracker_id = ""
        self._add_made_by_up()

    def _add_made_by_up(self) -> None:
        made = load_secrets(self.data_dir)
        key = made.secret_key
        self.secrets["OPSC_SECRET_KEY"] = key
        self.secrets["OPSC_SECRET_KEY in hex"] = base64.urlsafe_b64decode(key).hex()
        for role, password in made.role_passwords.items():
            self.secrets[f"the password of {role}"] = password
        superuser = urlsplit(self.stack.database["admin"]).password
        assert superuser is not None
        self.secrets["the password of the superuser"] = superuser

    async def asked(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        bearer: str | None = None,
        status: int,
        **options: Any,
    ) -> Any:
        """Return the JSON of an answer; a problem is kept, to be searched."""
        headers = {**options.pop("headers", {})}
        if bearer is not None:
            headers["Authorization"] = f"Bearer {bearer}"
        if body is not None:
            options["json"] = body
        url = self.stack.api_url + path
        async with aiohttp.request(method, url, headers=headers, **options) as response:
            text = await response.text()
            if response.status >= 400:
                name = f"problem {len(self.written)}: {method} {path.partition('?')[0][:30]}"
                self.written[name] = f"{text}\n{response.headers}"
            else:
                for name, morsel in response.cookies.items():
                    self.secrets[f"the cookie {name}"] = morsel.value
        assert response.status == status, text
        return json.loads(text) if text else None

    async def metrics(self) -> None:
        """Keep the pages of every role."""
        pages = [(f"{name} metrics", part.metrics_url) for name, part in self.stack.parts.items()]
        pages += [("the API's document", self.stack.api_url + "/openapi.json")]
        pages += [(f"api {path}", self.stack.api_url + path) for path in ("/readyz", "/healthz")]
        for name, url in pages:
            if url is not None:
                async with aiohttp.request("GET", url) as response:
                    self.written[name] = await response.text()

    def found(self) -> list[tuple[str, str]]:
        """Return which secret stands where."""
        return [
            (secret, place)
            for place, text in self.written.items()
            for secret, value in self.secrets.items()
            if any(form in text for form in forms(value))
        ] + [
            (address, "postgres.log")
            for address in BOUND_VALUES
            if address in self.written["postgres.log"]
        ]


def forms(secret: str) -> set[str]:
    """Return a secret as it may be written."""
    raw = secret.encode()
    encoded = {base64.b64encode(raw).decode(), base64.urlsafe_b64encode(raw).decode()}
    return {secret, quote(secret, safe=""), raw.hex()} | {text.rstrip("=") for text in encoded}


@pytest.fixture
def up(data_dir: Path) -> Iterator[Up]:
    running = Up(data_dir, plain_environment() | {"OPSC_LOG_LEVEL": "debug"})
    try:
        running.until_said("ready")
        yield running
    finally:
        if running.process.poll() is None:
            running.end(signal.SIGTERM)


async def test_no_secret_stands_in_what_a_system_writes(
    up: Up, data_dir: Path, programs: Programs, tmp_path: Path
) -> None:
    world = World(read_stack(data_dir), data_dir)
    log_every_statement(world)
    world.written["command lines"] = command_lines(up)
    admin = organization(world)
    keys = await sign_in(world, admin)
    await make_things(world, keys)
    await deliver_to_an_echo(world, keys)
    await send_nonsense(world, keys)
    await invite(world, keys)
    await speak_to_the_listener(world)
    await look_at_the_audit_log(world, keys)
    back_up(world, programs, tmp_path / "backup")
    await break_statements(world, keys)
    await world.metrics()
    await break_the_database(world, up)
    run_with_wrong_settings(world)
    assert up.end(signal.SIGTERM) == 0
    world.written["opsc up"] = up.output
    for path in sorted((data_dir / "log").iterdir(), reverse=True):  # x.log.1 is older than x.log
        name = re.sub(r"\.\d+$", "", path.name)
        world.written[name] = world.written.get(name, "") + path.read_text(errors="replace")
    assert world.found() == []
    # The search looks at what it should: everything that was done left its traces.
    for place, trace in TRACES.items():
        assert re.search(trace, world.written[place]), place
    world.secrets["no secret"] = admin["organization_id"]
    assert ("no secret", "api.log") in world.found()


TRACES: Mapping[str, str] = {
    "api.log": r'"request failed".*"UndefinedColumn"(?s:.*)SQLSTATE 23514, constraint odd',
    "ingest.log": r"leadership lost, retrying",
    "deliver.log": r"database unavailable, retrying",
    "postgres.log": r'ERROR:  column .*\n.*STATEMENT:(?s:.*)INSERT INTO "trackers"',
    "listener.log": r"linked to ingest",
    "opsc up": r"postgres ended \(by SIGKILL\)",
    "ingest metrics": r"opsc_ingest_",
    "the API's document": r"createToken",
    "command lines": r"listener",
    "api with wrong settings": r"OPSC_DATABASE_URL: must be",
    "deliver with wrong settings": r"OPSC_SECRET_KEY: must be",
    "ingest with wrong settings": r"OPSC_BROKER_URL: ",
    "the log of attempts": r'"status": 410.*x-receiver',
    "the audit log": r'"webhook_endpoint.*secret',
    "a backup": r"COPY public.webhook_endpoints(?s:.*)127.0.0.1(?s:.*)x-receiver",
    "api with a wrong password": r"password authentication failed.*waiting for the database",
}


def command_lines(up: Up) -> str:
    """Return what everybody on the machine can see of the processes."""
    lines: list[str] = []
    for pid in descendants(up.process.pid):
        with suppress(FileNotFoundError):  # PostgreSQL's workers come and go
            lines.append(Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace"))
    return "\n".join(lines)


def log_every_statement(world: World) -> None:
    with psycopg.connect(world.stack.database["admin"], autocommit=True) as conn:
        conn.execute("ALTER SYSTEM SET log_min_duration_statement = 0")
        conn.execute("SELECT pg_reload_conf()")


def organization(world: World) -> dict[str, str]:
    """Create an organization. Its admin's sign-in is shown by the command that makes it, and
    nowhere else.
    """
    arguments = ("--name", "Ada", "--email", "ada@ada.example", "--data", world.data_dir, "--json")
    made = opsc("org", "create", *arguments)
    assert made.returncode == 0, made.stderr
    admin = json.loads(made.stdout)
    world.secrets["the admin's password"] = admin["password"]
    return admin


async def sign_in(world: World, admin: dict[str, str]) -> str:
    """Return an API key, made after the admin has signed in in every way, also with a wrong
    password.
    """
    wrong = {**admin, "password": MADE_UP["a password that is wrong"]}
    await world.asked("POST", "/v1/auth/token", wrong, status=401)
    await world.asked("POST", "/v1/auth/session", wrong, status=401)
    await world.asked("POST", "/v1/auth/session", admin, status=201)
    pair = await world.asked("POST", "/v1/auth/token", admin, status=200)
    again = {"refresh_token": pair["refresh_token"]}
    fresh = await world.asked("POST", "/v1/auth/refresh", again, status=200)
    for number, tokens in enumerate((pair, fresh)):
        world.secrets[f"access token {number}"] = tokens["access_token"]
        world.secrets[f"refresh token {number}"] = tokens["refresh_token"]
    bearer = fresh["access_token"]
    key = await world.asked("POST", "/v1/api-keys", {"name": "x"}, bearer=bearer, status=201)
    world.secrets["an API key"] = key["secret"]
    return key["secret"]


async def make_things(world: World, key: str) -> None:
    """Create a tracker, a gateway and an endpoint, whose receiver is away."""
    for path, body in (
        ("/v1/trackers", {"name": "truck"}),
        ("/v1/gateways", {"name": "theirs", "kind": "traccar"}),
        ("/v1/webhook-endpoints", {"url": "http://127.0.0.1:9/hook", "types": ["*"]}),
    ):
        made = await world.asked("POST", path, body, bearer=key, status=201)
        world.secrets[f"the secret of {path}"] = made["secret"]
        if path == "/v1/trackers":
            world.tracker_id = made["id"]
    rotate = f"/v1/trackers/{world.tracker_id}/rotate"
    rotated = await world.asked("POST", rotate, bearer=key, status=200)
    world.secrets["the tracker's second secret"] = rotated["secret"]


async def deliver_to_an_echo(world: World, key: str) -> None:
    """Send a test to a receiver that answers with all it got, and is gone then. Before that the
    endpoint's headers are replaced and its secret is rotated.
    """

    async def echo(request: web.Request) -> web.Response:
        return web.Response(status=410, text=str(request.headers), headers=request.headers)

    receiver = TestServer(web.Application())
    receiver.app.router.add_post("/echo", echo)
    async with receiver:
        url, path = str(receiver.make_url("/echo")), "/v1/webhook-endpoints"
        headers = {"X-Receiver-Key": MADE_UP["a header that was replaced"]}
        body = {"url": url, "types": ["*"], "headers": headers}
        made = await world.asked("POST", path, body, bearer=key, status=201)
        path = f"{path}/{made['id']}"
        headers = {"X-Receiver-Key": MADE_UP["a header of an endpoint"]}
        await world.asked("PATCH", path, {"headers": headers}, bearer=key, status=200)
        rotated = await world.asked("POST", f"{path}/rotate", {}, bearer=key, status=200)
        world.secrets["a secret before its rotation"] = made["secret"]
        world.secrets["a rotated secret"] = rotated["secret"]
        for number, secret in enumerate((made["secret"], rotated["secret"])):
            raw = base64.b64decode(secret.removeprefix("whsec_"))
            world.secrets[f"the bytes of secret {number}"] = raw.hex()
        body = {"type": "stock.low"}
        sent = await world.asked("POST", f"{path}/test", body, bearer=key, status=202)
        async with asyncio.timeout(PATIENCE_S):
            while sent["state"] == "pending":
                await asyncio.sleep(0.1)
                delivery = f"/v1/webhook-deliveries/{sent['id']}"
                sent = await world.asked("GET", delivery, bearer=key, status=200)
        world.written["the log of attempts"] = json.dumps(sent)
        shown = await world.asked("GET", path, bearer=key, status=200)
        world.written["an endpoint"] = json.dumps(shown)


async def look_at_the_audit_log(world: World, key: str) -> None:
    page = await world.asked("GET", "/v1/audit-events?limit=1000", bearer=key, status=200)
    world.written["the audit log"] = json.dumps(page)


def back_up(world: World, programs: Programs, folder: Path) -> None:
    """Write a backup, and keep all of its files, and the dump as SQL."""
    done = opsc("backup", folder, "--data", world.data_dir)
    assert done.returncode == 0, done.stderr
    world.written["opsc backup"] = done.stdout + done.stderr
    for path in folder.iterdir():
        world.written[f"backup: {path.name}"] = path.read_text(errors="replace")
    restore = [programs.postgres_bin / "pg_restore", "--file=-", folder / DUMP]
    environment = {**os.environ, **programs.postgres_environment}
    text = subprocess.run(
        restore, env=environment, capture_output=True, check=True, timeout=PATIENCE_S
    ).stdout
    world.written["a backup"] = text.decode()


async def send_nonsense(world: World, key: str) -> None:
    """Send secrets where they do not belong, and bodies that cannot be read."""
    never, password = MADE_UP["an API key that never was"], MADE_UP["a password that is wrong"]
    await world.asked("GET", "/v1/assets", bearer=never, status=401)
    await world.asked("GET", f"/v1/assets?token={key}", bearer=key, status=400)
    await world.asked("GET", f"/v1/assets?password={password}", bearer=key, status=400)
    await world.asked("GET", f"/v1/assets/{key}", bearer=key, status=404)
    await world.asked("GET", f"/v1/nothing/{never}", status=404)
    basic = base64.b64encode(f"ada:{password}".encode()).decode()
    world.secrets["a name and a password"] = basic
    headers = {"Authorization": f"Basic {basic}"}
    await world.asked("GET", "/v1/assets", headers=headers, status=401)
    json_type = {"Content-Type": "application/json"}
    half = f'{{"password": "{password}"'
    await world.asked("POST", "/v1/auth/token", data=half, headers=json_type, status=400)
    for body in ({"password": password}, {"password": [password]}, [password], password):
        await world.asked("POST", "/v1/auth/token", body, status=422)
        await world.asked("POST", "/v1/trackers", body, bearer=key, status=422)
    link = {"token": never.replace("opsk_", "opsl_"), "password": password}
    world.secrets["a link that never was"] = link["token"]
    await world.asked("POST", "/v1/auth/invitations/accept", link, status=400)


async def invite(world: World, key: str) -> None:
    """Invite a colleague, who sets a password by the link of a letter."""
    body = {"email": "bob@ada.example", "role": "viewer"}
    await world.asked("POST", "/v1/users", body, bearer=key, status=201)
    mail = world.data_dir / "mail"
    await until(lambda: mail.is_dir() and any(mail.glob("*.eml")), "a letter comes")
    letter = message_from_bytes(next(mail.glob("*.eml")).read_bytes(), policy=policy.default)
    found = re.search(r"#token=(\S+)", letter.get_content())
    assert found is not None
    world.secrets["the link of an invitation"] = token = found[1]
    weak = {"token": token, "password": "short"}
    await world.asked("POST", "/v1/auth/invitations/accept", weak, status=422)
    strong = {"token": token, "password": MADE_UP["a new password"]}
    await world.asked("POST", "/v1/auth/invitations/accept", strong, status=200)
    await world.asked("POST", "/v1/auth/invitations/accept", strong, status=400)


async def speak_to_the_listener(world: World) -> None:
    """Sign a tracker in with a wrong secret, and with the right one send good and bad messages."""
    address = BrokerAddress.parse(world.stack.broker_url)
    tracker_id = world.tracker_id
    for name in ("a tracker secret that is wrong", "the tracker's second secret"):
        secret = world.secrets[name].encode()
        deadline = asyncio.get_running_loop().time() + PATIENCE_S
        while True:  # a new tracker is refused until the listener knows it
            try:
                options = SessionOptions(tracker_id, username=tracker_id, password=secret)
                async with asyncio.timeout(10), Session(address, options) as session:
                    await session.connected.wait()
                    now = datetime.now(UTC).isoformat()  # one that was stored is not stored again
                    for payload in ("nonsense", json.dumps({"time": now, "lat": 1, "lon": 2})):
                        topic = f"trackers/{tracker_id}/fixes"
                        with suppress(PublishRefusedError):  # the nonsense: it is in quarantine
                            await session.publish(topic, payload.encode(), qos=1)
                    break
            except (MqttError, TimeoutError):
                if name == "a tracker secret that is wrong":
                    break
                assert asyncio.get_running_loop().time() < deadline


async def break_statements(world: World, key: str) -> None:
    """Break the schema, so that statements with secrets fail in API and ingest."""
    broken = ("trackers RENAME external_id TO", "gps_events RENAME accuracy_m TO")
    with psycopg.connect(world.stack.database["admin"], autocommit=True) as conn:
        for one in broken:
            conn.execute(f"ALTER TABLE {one} broken".encode())
        await world.asked("POST", "/v1/trackers", {"name": "van"}, bearer=key, status=500)
        speaking = asyncio.create_task(speak_to_the_listener(world))  # no PUBACK until it is mended
        await until(lambda: "leadership lost" in log(world, "ingest"), "ingest fails")
        for one in broken:
            table, _, column, _ = one.split()
            conn.execute(f"ALTER TABLE {table} RENAME broken TO {column}".encode())
        await speaking
        # A broken constraint whose DETAIL would show the row, hashes and all.
        conn.execute("ALTER TABLE users ADD CONSTRAINT odd CHECK (length(email) < 3) NOT VALID")
        body = {"email": "eve@ada.example", "role": "viewer"}
        await world.asked("POST", "/v1/users", body, bearer=key, status=500)
        conn.execute("ALTER TABLE users DROP CONSTRAINT odd")


async def break_the_database(world: World, up: Up) -> None:
    pid = world.stack.parts["postgres"].pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    await until(lambda: "unavailable, retrying" in log(world, "deliver"), "deliver notices")
    await until(lambda: "postgres is running again" in up.output, "it is started again")
    key = world.secrets["an API key"]
    async with aiohttp.ClientSession(world.stack.api_url) as session:
        headers = {"Authorization": f"Bearer {key}"}
        async with session.get("/v1/trackers", headers=headers) as response:
            assert response.status in (200, 503)


def run_with_wrong_settings(world: World) -> None:
    password = MADE_UP["a password that is wrong"]
    database = world.stack.database["opsc_app"]
    good = {
        "OPSC_DATABASE_URL": database,
        "OPSC_SECRET_KEY": world.stack.secret_key,
        "OPSC_BROKER_URL": world.stack.broker_url,
    }
    smtp = f"smtp//me:{MADE_UP['a password of the mail server']}@127.0.0.1"
    broker = f"mqtt://me:{MADE_UP['a password in a broker URL']}@127.0.0.1"
    for role, module, wrong in (
        ("api", "api", {"OPSC_DATABASE_URL": database.replace("//", "/")}),
        ("ingest", "ingest", {"OPSC_BROKER_URL": broker, "OPSC_LOG_LEVEL": "loud"}),
        ("deliver", "webhooks", {"OPSC_SECRET_KEY": password, "OPSC_MAIL_SMTP_URL": smtp}),
    ):
        done = subprocess.run(
            [sys.executable, "-m", module],
            env=plain_environment() | good | wrong,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )
        assert done.returncode == 2
        world.written[f"{role} with wrong settings"] = done.stdout + done.stderr
    wrong = re.sub(r"//(\w+):[^@]*@", rf"//\1:{password}@", database)
    ports = {"OPSC_API_PORT": "0", "OPSC_API_HTTP": f"127.0.0.1:{free_port(0)}"}
    world.written["api with a wrong password"] = first_line(
        "api", plain_environment() | good | ports | {"OPSC_DATABASE_URL": wrong}
    )
    for command in (["migrate"], ["org", "create", "--name", "A", "--email", "a@b"]):
        done = opsc(*command, "--data", world.data_dir)
        assert done.returncode in (0, 1)
        if command == ["migrate"]:
            world.written["opsc migrate"] = done.stdout + done.stderr


def first_line(module: str, environment: Mapping[str, str]) -> str:
    """Return what a role says first, and all that it has said when it is ended then."""
    arguments = [sys.executable, "-m", module]
    with subprocess.Popen(arguments, env=environment, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        line = process.stderr.readline()
        process.terminate()
        return line + process.stderr.read()


def log(world: World, part: str) -> str:
    return (world.data_dir / "log" / f"{part}.log").read_text(errors="replace")


async def until(true: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < deadline, what
        await asyncio.sleep(0.1)
