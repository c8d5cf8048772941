"""The API as clients meet it: a real uvicorn on a loopback port, over a real database.

`RunningApi` serves from a thread of its own; `Organization` is a tenant with a user of each role;
`Client` speaks HTTP as one of them.
"""

from __future__ import annotations

import asyncio
import base64
import json
import secrets
import threading
import time
from collections.abc import AsyncGenerator, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any, Self
from uuid import UUID

import aiohttp
import structlog
import uvicorn
from psycopg import AsyncCursor
from psycopg.sql import Composable
from structlog.contextvars import get_contextvars

from api.app import create_app
from api.auth.access_tokens import Grant, Tokens
from api.auth.passwords import hash_password
from api.http import websocket
from api.http.server import BoundedHttp, QuickServer
from api.http.websocket import BoundedWebSocket
from api.live.limits import LiveLimits
from api.live.live import Live
from api.settings import ApiSettings
from db.core.connect import Limits, connect, pool
from db.core.ids import new_id
from db.identity.users import Role
from db.resources.organizations import create_organization
from service import logs
from telemetry.ids import format_id
from tests.servers import DatabaseUnderTest


class Clock:
    """The clock of all APIs of this process: it goes, and a test can put it forward."""

    def __init__(self) -> None:
        self._passed_s = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self._passed_s

    def let_pass(self, seconds: float) -> None:
        self._passed_s += seconds


CLOCK = Clock()
PASSWORD = "correct horse battery staple"
PATIENT = Limits(lock_s=30)
"""A test holds a lock while it looks at what waits for it, and a machine may be very busy."""


@cache
def _password_hash() -> str:
    """Hash PASSWORD: one hash for all users, since each costs 20 ms."""
    return hash_password(PASSWORD)


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to a request."""

    status: int
    headers: Mapping[str, str]
    content: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.content)


class Client:
    """HTTP as one caller; a token of None sends none."""

    def __init__(self, url: str, token: str | None) -> None:
        self._url = url
        self.token = token

    async def get(
        self, path: str, headers: Mapping[str, str] | None = None, **parameters: Any
    ) -> Answer:
        # `from` is a word of Python: write `from_`.
        named = {name.rstrip("_"): str(value) for name, value in parameters.items()}
        return await self.send("GET", path, headers=headers, params=named)

    async def post(self, path: str, body: object) -> Answer:
        return await self.send("POST", path, json=body)

    async def patch(self, path: str, body: object) -> Answer:
        return await self.send("PATCH", path, json=body)

    async def delete(self, path: str) -> Answer:
        return await self.send("DELETE", path)

    async def send(
        self, method: str, path: str, headers: Mapping[str, str] | None = None, **options: Any
    ) -> Answer:
        every = {} if self.token is None else {"Authorization": f"Bearer {self.token}"}
        async with aiohttp.request(
            method, self._url + path, headers={**every, **(headers or {})}, **options
        ) as response:
            return Answer(response.status, response.headers, await response.read())

    async def walk(self, path: str, **parameters: Any) -> list[Any]:
        """Return all rows of a list, page by page, by cursor."""
        answer = await self.get(path, **parameters)
        rows = list(answer.json["data"])
        while cursor := answer.json["next_cursor"]:
            answer = await self.get(path, **parameters, cursor=cursor)
            rows += answer.json["data"]
        return rows


@dataclass(frozen=True, slots=True)
class Organization:
    """A tenant with a user of each role."""

    org_id: UUID
    email: str
    admin: Client
    dispatcher: Client
    technician: Client
    viewer: Client

    @property
    def id(self) -> str:
        return format_id("org", self.org_id)


class RunningApi:
    """A server with its database. `statements`: what its requests have sent there so far, without
    what the server sends now and then by itself.
    """

    def __init__(
        self,
        database: DatabaseUnderTest,
        settings: ApiSettings,
        *,
        has_page: bool,
        limits: Limits,
        live_limits: LiveLimits | None = None,
    ) -> None:
        self.database = database
        self.settings = settings
        self.anonymous = Client("", None)
        self.statements: list[str] = []
        connections = pool(
            database.url("opsc_app"),
            "test-api",
            max_size=8,
            limits=limits,
        )
        connections.kwargs = {
            **(connections.kwargs or {}),
            "cursor_factory": _recording(self.statements),
        }
        config = uvicorn.Config(
            create_app(
                settings,
                connections,
                settings.page_addresses if has_page else (),
                CLOCK,
                live_limits,
            ),
            port=0,
            loop="uvloop",
            http=BoundedHttp,
            ws=BoundedWebSocket,
            **websocket.OPTIONS,
            access_log=False,
            log_config=None,
        )
        self.live: Live = config.app.state.live  # pyright: ignore
        self._server = QuickServer(config)
        self._thread = threading.Thread(target=self._server.run, name="api-under-test")

    def start(self) -> None:
        self._thread.start()
        while not self._server.started:
            assert self._thread.is_alive(), "the API did not start"
            time.sleep(0.01)
        port = self._server.servers[0].sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        self.anonymous = Client(self.url, None)

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join()
        self.database.close()

    def organization(self, name: str) -> Organization:
        """Return a new tenant."""
        email = "boss@example.com"
        with ThreadPoolExecutor(1) as thread:  # the test's own thread may have a loop already
            org_id = thread.submit(asyncio.run, self._create(name, email)).result()
        users = {role: self._user(org_id, role) for role in ("dispatcher", "technician", "viewer")}
        admins = self.sql("SELECT id FROM users WHERE org_id = %s AND role = 'admin'", org_id)
        users["admin"] = admins[0][0]
        clients = {role: self.client(org_id, user) for role, user in users.items()}
        return Organization(org_id, email, **clients)

    def client(self, org_id: UUID, user_id: UUID) -> Client:
        """Return a caller with a token of this installation."""
        tokens = Tokens(self.settings.secret_keys, 3600)
        return Client(self.url, tokens.issue(self.grant(org_id, user_id)))

    def grant(self, org_id: UUID, user_id: UUID) -> Grant:
        """Return a sign-in of a user, without the work of one."""
        grant = Grant(org_id, user_id, new_id())
        self.sql(
            "INSERT INTO sign_ins (org_id, id, user_id, kind, expires_at)"
            " VALUES (%s, %s, %s, 'token', now() + interval '1 day')",
            grant.org_id,
            grant.sign_in_id,
            grant.user_id,
        )
        return grant

    def sql(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """Run a statement as superuser, to prepare what no route makes."""
        return self.database.run("admin", statement, values)

    def sql_named(self, statement: str, values: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        """Run a statement with named values."""
        return self.database.run("admin", statement, values)

    async def _create(self, name: str, email: str) -> UUID:
        conn = await connect(self.database.url("opsc_owner"), "test")
        async with conn, conn.transaction():
            return await create_organization(
                conn,
                name=name,
                email=email,
                password_hash=_password_hash(),
                plan="unlimited",
            )

    def _user(self, org_id: UUID, role: Role) -> UUID:
        user_id = new_id()
        self.sql(
            "INSERT INTO users (org_id, id, email, password_hash, role)"
            " VALUES (%s, %s, %s, %s, %s)",
            org_id,
            user_id,
            f"{role}@example.com",
            _password_hash(),
            role,
        )
        return user_id


def _recording(statements: list[str]) -> type[AsyncCursor[Any]]:
    """Return a class of cursors that write down what they send for a request."""

    class Recording(AsyncCursor[Any]):
        async def execute(self, query: Any, *args: Any, **options: Any) -> Self:
            _write_down(query)
            return await super().execute(query, *args, **options)

        async def stream(self, query: Any, *args: Any, **options: Any) -> AsyncGenerator[Any]:
            _write_down(query)
            async for row in super().stream(query, *args, **options):
                yield row

    def _write_down(query: Any) -> None:
        if "request_id" in get_contextvars():
            text = query.as_string() if isinstance(query, Composable) else query
            text = text.decode() if isinstance(text, bytes) else text
            statements.append(" ".join(text.split()))

    return Recording


@contextmanager
def running_api(
    database: DatabaseUnderTest,
    *,
    has_page: bool = False,
    limits: Limits = PATIENT,
    live_limits: LiveLimits | None = None,
    **settings: Any,
) -> Iterator[RunningApi]:
    """Provide an API over `database` while the block lasts. has_page: with its page of metrics.
    limits: of its connections.
    """
    settings.setdefault("secret_key", base64.urlsafe_b64encode(secrets.token_bytes(32)).decode())
    chosen = ApiSettings(database_url=database.url("opsc_app"), log_level="error", **settings)
    logs.configure(chosen.log_level, chosen.log_format)
    structlog.configure(cache_logger_on_first_use=False)  # else no other test sees what is logged
    api = RunningApi(database, chosen, has_page=has_page, limits=limits, live_limits=live_limits)
    api.start()
    try:
        yield api
    finally:
        api.stop()
