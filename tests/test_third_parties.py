"""What we reach inside of other packages has the shape that we rely on.

docs/decisions/0022-inside-of-other-packages.md names it. Each package there has a cap in
pyproject.toml and a test here: who lifts a cap runs these first.
"""

import asyncio
import re
import tomllib
from collections.abc import Callable
from inspect import signature
from pathlib import Path
from typing import Annotated, Any

import pytest
import uvicorn
from fastapi import APIRouter, Body, Depends, Query, params
from fastapi import Path as PathPart
from fastapi.routing import APIRoute
from numba import njit
from numba.core.caching import (
    CompileResultCacheImpl,
    FunctionCache,
    IndexDataCacheFile,
    InTreeCacheLocator,
)
from numba.core.event import Event, Listener, install_listener
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from psycopg_pool import AsyncConnectionPool
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState
from websockets.protocol import State
from websockets.server import ServerProtocol

from api.http.server import BoundedHttp
from api.http.websocket import BoundedWebSocket
from api.request.route import PublicRoute
from geofence.kernel.compiled import _BesideTheSource, _Cache
from tests.test_documents import rows_under

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
NEEDED = {each.name: each for each in map(Requirement, PROJECT["dependencies"])}
PAGE = (ROOT / "docs/decisions/0022-inside-of-other-packages.md").read_text("utf-8")


def test_each_package_of_the_page_is_capped_as_it_says() -> None:
    said = {
        package.strip("`"): cap.strip("`") for package, cap, *_ in rows_under("## Decision", PAGE)
    }
    caps = {name: re.search(r"<[\d.]+", str(NEEDED[name].specifier)) for name in said}
    assert {name: cap and cap[0] for name, cap in caps.items()} == said


def test_the_lock_file_has_what_pyproject_asks_for() -> None:
    lock = (ROOT / "requirements.lock").read_text("utf-8")
    locked = dict(re.findall(r"^([a-z0-9._-]+)==([^\s;]+)", lock, re.MULTILINE))
    refused = [
        f"{each} but {locked.get(canonicalize_name(each.name))}"
        for each in NEEDED.values()
        if not each.specifier.contains(locked.get(canonicalize_name(each.name), "0"))
    ]
    assert refused == []


@pytest.mark.parametrize(
    ("ours", "theirs", "names"),
    [
        (PublicRoute, APIRoute, "get_route_handler"),
        (
            BoundedHttp,
            HttpToolsProtocol,
            "connection_made connection_lost data_received on_message_begin on_headers_complete"
            " send_400_response pause_writing resume_writing",
        ),
        (_Cache, FunctionCache, "_load_overload _save_overload"),
        (_BesideTheSource, InTreeCacheLocator, "ensure_cache_path"),
    ],
)
def test_what_we_override_is_there_with_the_same_parameters(
    ours: type, theirs: type, names: str
) -> None:
    for name in names.split():
        our, their = vars(ours)[name], getattr(theirs, name)
        assert type(our) is type(their), name
        if not isinstance(our, property):
            assert list(signature(our).parameters) == list(signature(their).parameters), name


async def test_a_pool_that_has_given_up_connects_again_when_it_is_checked() -> None:
    given_up = asyncio.Event()

    async def note(_: AsyncConnectionPool) -> None:
        given_up.set()

    pool = AsyncConnectionPool(
        "postgresql://nobody@127.0.0.1:1/none",
        min_size=1,
        open=False,
        reconnect_timeout=0.1,
        reconnect_failed=note,
    )
    async with pool:
        for _ in range(3):
            await given_up.wait()
            given_up.clear()
            assert pool.get_stats()["pool_size"] == 0
            await pool.check()
            assert pool.get_stats()["pool_size"] == 1


class Asked(BaseModel):
    """A body, or a query string."""

    number: int


class Allowed:
    """A dependency."""

    def __call__(self, request: Request) -> int:
        return 1


ALLOWED = Allowed()


async def handler(
    access: Annotated[int, Depends(ALLOWED)],
    thing_id: Annotated[str, PathPart()],
    query: Annotated[Asked, Query()],
    body: Annotated[Asked, Body()],
    request: Request,
) -> Response:
    """Do nothing: it is never called."""
    return Response()


def test_fastapi_says_what_a_handler_takes_and_checks_it() -> None:
    dependant = APIRoute("/things/{thing_id}", handler, methods=["POST"]).dependant
    assert (dependant.call, dependant.request_param_name) == (handler, "request")
    assert [(each.call, each.name) for each in dependant.dependencies] == [(ALLOWED, "access")]
    fields = (*dependant.path_params, *dependant.query_params, *dependant.body_params)
    assert [field.name for field in fields] == ["thing_id", "query", "body"]
    assert [field.field_info.annotation for field in fields] == [str, Asked, Asked]
    body = fields[-1]
    assert type(body.field_info) is params.Body
    assert (body.field_info.embed, body.field_info.is_required()) == (None, True)
    assert body.validate({"number": 1}, loc=("body",)) == (Asked(number=1), [])
    value, (fault,) = body.validate({"number": "x"}, loc=("body",))
    assert (value, fault["type"], fault["loc"]) == (None, "int_parsing", ("body", "number"))


def test_a_route_of_fastapi_asks_for_its_handler_when_it_is_made() -> None:
    made: list[APIRoute] = []

    class Route(APIRoute):
        def get_route_handler(self) -> Callable[..., Any]:
            assert self.dependant.call is handler
            assert (self.body_field is not None, self.methods) == (True, {"POST"})
            assert (self.response_model, self.operation_id) == (Asked, "doIt")
            made.append(self)
            return super().get_route_handler()

    router = APIRouter(route_class=Route)
    router.post("/things/{thing_id}", response_model=Asked, operation_id="doIt")(handler)
    (route,) = router.routes
    assert made == [route]
    assert (made[0].path_format, made[0].unique_id) == ("/things/{thing_id}", "doIt")


async def test_uvicorn_has_a_protocol_that_shows_its_connection() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None: ...

    state = ServerState()
    config = uvicorn.Config(app, http=HttpToolsProtocol, log_config=None)
    protocol = HttpToolsProtocol(config=config, server_state=state, app_state={"metrics": 1})
    assert vars(protocol).keys() >= {"app_state", "client", "loop", "transport"}
    assert (protocol.app_state, protocol.connections) == ({"metrics": 1}, state.connections)
    assert STATUS_LINE[408] == b"HTTP/1.1 408 Request Timeout\r\n"


async def test_uvicorn_has_a_protocol_of_websocket_that_can_be_bounded() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None: ...

    config = uvicorn.Config(app, ws=WebSocketsSansIOProtocol, log_config=None)
    protocol = WebSocketsSansIOProtocol(config=config, server_state=ServerState(), app_state={})
    overridden = vars(BoundedWebSocket).keys() - vars(object).keys()
    known = {"on_writable", "unsent_bytes", "write", "end", "_linger", "_go_deaf"}
    known |= {"become_known", "make_place", "_places"}
    assert {name for name in overridden if not name.startswith("__")} - known <= {
        name for each in WebSocketsSansIOProtocol.__mro__ for name in vars(each)
    }
    attributes = {"close_sent", "close_timer", "conn", "frames", "queue", "read_paused"}
    assert vars(protocol).keys() >= attributes
    sending = ServerProtocol()
    sending.state = State.OPEN
    sending.send_close(4008, "slow")
    assert sending.data_to_send() == [b"\x88\x06\x0f\xa8slow"]


def _next(number: int) -> int:
    return number + 1


def test_numba_keeps_code_where_we_say_and_tells_what_it_compiles() -> None:
    cache = FunctionCache(_next)
    assert isinstance(cache._cache_file, IndexDataCacheFile)
    assert cache._impl.filename_base.startswith("test_third_parties._next-")
    assert Path(cache._cache_path).name == "__pycache__"
    assert list(signature(IndexDataCacheFile).parameters) == [
        "cache_path",
        "filename_base",
        "source_stamp",
    ]
    assert cache._impl_class is CompileResultCacheImpl
    assert InTreeCacheLocator in CompileResultCacheImpl._locator_classes
    dispatcher = njit(nogil=True)(_next)
    assert (dispatcher.py_func, "_cache" in vars(dispatcher)) == (_next, True)
    assert dispatcher.targetoptions["nogil"] is True
    told: list[Any] = []

    class Told(Listener):
        def on_start(self, event: Event) -> None: ...

        def on_end(self, event: Event) -> None:
            told.append(event.data["dispatcher"])

    with install_listener("numba:compile", Told()):
        assert dispatcher(1) == 2
    assert told == [dispatcher]
