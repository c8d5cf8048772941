"""Routes: the steps of a request before its handler runs.

`read_then_handle` is the list of steps: the caller and their limits (`admit`), the names of the
parameters, the body, then the handler, whose arguments `api.request.handler_arguments` reads.

The body is bounded while it arrives, to 16 KiB on routes that need no token. Its Content-Type must
be JSON, and so must the body (`api.limits.json_body`).
"""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress
from typing import Any, ClassVar

from fastapi.routing import APIRoute
from msgspec import UNSET
from starlette.convertors import StringConvertor, register_url_convertor
from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from api.auth.caller import Caller
from api.context import ApiState
from api.http.answers.fixed_answers import sent_bytes
from api.http.etags import Preconditions
from api.http.headers import charset, media_type
from api.http.problems import Fault, Problem, bad_parameter, unavailable
from api.limits.geometry_checks import LARGE_BYTES
from api.limits.json_body import decode_json
from api.limits.turns import refusing_when_full
from api.request.access import POSITION, authenticate
from api.request.handler_arguments import Handle, handle_of, query_names
from api.request.idempotency import KeyedRequest, fingerprint, read_key
from api.request.paging import fields_of
from api.settings import ApiSettings
from db.core.errors import OperationalError
from db.core.standby import StandbyFailed
from geofence.shapes.geojson import MAX_VERTICES

# Who sends too much hears so only if the connection stays open while it sends: so much is taken and
# thrown away.
_DISCARDED_BYTES = 16 * 1024 * 1024


class _IdConvertor(StringConvertor):
    """Ids have an underscore, names of paths have none: `/assets/positions` is nobody's id."""

    regex = "[^/_]*_[^/]*"


register_url_convertor("id", _IdConvertor())


class PublicRoute(APIRoute):
    """A route that needs no token. `{id}` in its path is what looks like an id."""

    body_limit_bytes: ClassVar[int] = 16 * 1024
    most_values: ClassVar[int] = 20_000
    parameters: frozenset[str]
    """The names that its query may have."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        super().__init__(path.replace("{id}", "{id:id}"), endpoint, **options)

    def get_route_handler(self) -> Handle:
        handle = handle_of(self.dependant)
        self.parameters = query_names(self.dependant)
        takes_body = self.body_field is not None
        reads = "GET" in (self.methods or ())
        shown = fields_of(self.response_model)

        async def read_then_handle(request: Request) -> Response:
            settings: ApiSettings = request.app.state.api.settings
            await self.admit(request)
            if request.scope["query_string"]:
                _check_parameters(request, self.parameters)
                if shown is not None:
                    _check_fields(request, shown)
            content = b""
            if takes_body:
                content = await read_body(
                    request, self.body_limit_bytes, settings.api_body_timeout_s
                )
            try:
                async with asyncio.timeout(settings.api_request_timeout_s):
                    if takes_body:
                        request.state.body = await self.body_of(request, content)
                    response = await self.run(request, handle)
            except TimeoutError:  # what it did is undone, unless it was just being committed
                raise unavailable("The request took too long.") from None
            return Preconditions.of(request).answer(response) if reads else response

        return read_then_handle

    async def admit(self, request: Request) -> None:
        """Admit anybody, but not too often."""
        state: ApiState = request.app.state.api
        state.admission.admit_stranger(request)

    async def body_of(self, request: Request, content: bytes) -> object:
        """Return the JSON of a body; UNSET where there is none. Raises Problem."""
        return self.decode(request, content)

    def decode(self, request: Request, content: bytes) -> object:
        """Return the JSON of a body; UNSET where there is none. Raises Problem (400, 413, 415)."""
        if not content:
            return UNSET
        check_kind(request.headers)
        return decode_json(content, self.most_values)

    async def run(self, request: Request, handle: Handle) -> Response:
        """Run the handler and return its answer."""
        return await handle(request)


class TenantRoute(PublicRoute):
    """A route on an organization's data."""

    body_limit_bytes = 1024 * 1024
    is_gated: ClassVar[bool] = True

    async def admit(self, request: Request) -> None:
        """Admit a caller with a good token, within their plan and its limit."""
        state: ApiState = request.app.state.api
        try:
            await authenticate(request)
        except Problem as problem:
            if problem.status == 401:
                state.admission.count_bad_credential(request)
            raise
        await state.admission.admit(request, request.state.caller, is_gated=self.is_gated)

    async def run(self, request: Request, handle: Handle) -> Response:
        """Answer; a change with the position behind it, where there is a standby to show it."""
        if request.method == "GET":
            try:
                return await handle(request)
            except StandbyFailed:
                return await handle(request)  # by the primary now
        response = await self._change(request, handle)
        standby = request.app.state.api.standby
        if standby is not None:
            with suppress(OperationalError):
                position = await standby.position(request.state.caller.org_id)
                response.headers[POSITION] = str(position)
        return response

    async def _change(self, request: Request, handle: Handle) -> Response:
        """Answer once for each Idempotency-Key of a POST."""
        key = read_key(request) if request.method == "POST" else None
        if key is None:
            return await handle(request)
        caller: Caller = request.state.caller
        asked = fingerprint(caller, request, self.asked(request))
        keyed = KeyedRequest(request.app.state.api, caller, self.unique_id, key, asked)
        request.state.keyed = keyed
        return await keyed.run(request, handle)

    def asked(self, request: Request) -> object:
        """Return what distinguishes a request from another of the same path: its body."""
        body = getattr(request.state, "body", UNSET)
        return None if body is UNSET else body


class UngatedRoute(TenantRoute):
    """A route that every plan has."""

    is_gated = False


class LargeBodyRoute(TenantRoute):
    """A route that takes geometries."""

    body_limit_bytes = 5 * 1024 * 1024
    most_values = 4 * MAX_VERTICES  # a vertex is an array and two numbers

    async def body_of(self, request: Request, content: bytes) -> object:
        """Return the JSON of a body; of a large one the coordinates of geometries as JSON texts
        (`msgspec.Raw`). Raises Problem.
        """
        if len(content) <= LARGE_BYTES:
            return self.decode(request, content)
        check_kind(request.headers)
        shapes, org_id = request.app.state.api.shapes, request.state.caller.org_id
        with refusing_when_full("large bodies"):
            return await shapes.decode_body(org_id, content, self.most_values)


def _check_parameters(request: Request, known: frozenset[str]) -> None:
    given = [name for name, _ in request.query_params.multi_items()]
    unknown = sorted(set(given) - known)
    if unknown:
        names = ", ".join(sorted(known)) or "none"
        faults = tuple(Fault("There is no such parameter.", parameter=name) for name in unknown)
        detail = f"Known parameters: {names}."
        more = {"known_parameters": sorted(known)}
        raise Problem(400, "unknown_parameter", detail, faults=faults, more=more)
    twice = sorted(name for name, times in Counter(given).items() if times > 1)
    if twice:
        faults = tuple(Fault("It is given more than once.", parameter=name) for name in twice)
        raise Problem(400, "invalid_parameter", "A parameter is given twice.", faults=faults)


def _check_fields(request: Request, known: frozenset[str]) -> None:
    asked = request.query_params.get("fields")
    unknown = sorted(set(asked.split(",")) - known) if asked else []
    if unknown:
        names, missing = ", ".join(sorted(known)), ", ".join(unknown)
        message = f"There is no field {missing}. Known fields: {names}."
        raise bad_parameter("fields", message)


async def read_body(request: Request, limit_bytes: int, limit_s: float) -> bytes:
    """Return the body. Raises Problem (400, 408, 413)."""
    try:
        async with asyncio.timeout(limit_s):
            return await _all(request, limit_bytes)
    except TimeoutError:
        headers = {"Connection": "close"}
        detail = "The body did not arrive in time."
        raise Problem(408, "request_timeout", detail, headers=headers) from None


async def _all(request: Request, limit_bytes: int) -> bytes:
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced[:20]) > limit_bytes + _DISCARDED_BYTES:
        raise too_large(limit_bytes)
    content = bytearray()
    async for chunk in body_chunks(request, limit_bytes):
        content += chunk
    return bytes(content)


async def body_chunks(request: Request, limit_bytes: int) -> AsyncGenerator[bytes, None]:
    """Yield the body as it arrives. Raises Problem: 413 beyond the bound, 400 if it ends early."""
    arrived_bytes = 0
    try:
        async for chunk in request.stream():
            arrived_bytes += len(chunk)
            if arrived_bytes <= limit_bytes:
                yield chunk
            elif arrived_bytes > limit_bytes + _DISCARDED_BYTES:
                break
    except ClientDisconnect:
        raise Problem(400, "body_incomplete", "The body ended before it was complete.") from None
    if arrived_bytes > limit_bytes:
        raise too_large(limit_bytes)


def too_large(limit_bytes: int) -> Problem:
    """Return a 413, which ends a connection that has more to say."""
    detail = f"The body is too large: at most {limit_bytes} bytes are allowed."
    return Problem(413, "body_too_large", detail, headers={"Connection": "close"})


def check_kind(headers: Headers) -> None:
    """Raise Problem (415) for a body that is not called plain JSON in UTF-8."""
    if media_type(headers) != "application/json" or charset(headers) not in ("", "utf-8"):
        detail = "The Content-Type must be application/json, in UTF-8."
        raise Problem(415, "not_json", detail)
    if headers.get("content-encoding", "identity").lower() != "identity":
        detail = "The body must be sent as it is, without Content-Encoding."
        raise Problem(415, "not_json", detail, headers={"Accept-Encoding": "identity"})


class FixedRoute(APIRoute):
    """A route to an answer that is the same for everybody: it needs no token and takes no
    parameters. Its answers are counted by their bytes; a query is not looked at.
    """

    def get_route_handler(self) -> Handle:
        handle = super().get_route_handler()

        async def answer_and_count(request: Request) -> Response:
            state: ApiState = request.app.state.api
            response = Preconditions.of(request).answer(await handle(request))
            state.admission.admit_to_fixed(request, sent_bytes(request, response))
            return response

        return answer_and_count
