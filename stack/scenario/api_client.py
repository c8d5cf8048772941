"""A thin client of the REST interface: sign-in, requests, walks over lists.

Reading survives a system that restarts under it: a GET that meets a refused or broken connection, a
429 or a 5xx is tried again for `patience_s`. What writes is tried again only where it cannot have
been carried out: the connection was refused, or the answer is 429 or 503.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from types import TracebackType
from typing import Any, Self, TypeVar

import aiohttp
import msgspec

PAGE_LIMIT = 1000
_KEPT_S = 3.0  # an idle connection: the API closes it after 5 s, and a POST is not sent twice
_CONNECTIONS = 16
_REQUEST_TIMEOUT_S = 60.0
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.1, 2.0
_SHOWN_BYTES = 500

Json = dict[str, Any]
Parameters = Mapping[str, str | int]

T = TypeVar("T")


class _Page(msgspec.Struct):
    data: list[msgspec.Raw]
    next_cursor: str | None


class ApiError(Exception):
    """The system refused a request, or could not be reached for longer than our patience.

    status: of the answer, None where there was none. detail: what it said.
    """

    def __init__(self, method: str, path: str, status: int | None, detail: str) -> None:
        super().__init__(f"{method} {path}: {status or 'no answer'}: {detail}")
        self.status = status
        self.detail = detail


class ApiClient:
    """One signed-in client; `async with` opens and closes its connections."""

    def __init__(
        self,
        base_url: str,
        token: str | None = None,
        *,
        patience_s: float = 60.0,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._base_url = base_url.rstrip("/")
        self._token = token
        self._patience_s = patience_s
        self._tls = tls or True
        self._http: aiohttp.ClientSession | None = None
        self._renew: Callable[[], Awaitable[None]] | None = None

    async def __aenter__(self) -> Self:
        self._http = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=_CONNECTIONS, ssl=self._tls, keepalive_timeout=_KEPT_S
            ),
            timeout=aiohttp.ClientTimeout(total=_REQUEST_TIMEOUT_S),
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._http is not None:
            await self._http.close()

    async def sign_in(self, organization_id: str, email: str, password: str) -> None:
        """Take a token for all later requests. Raises ApiError: 401 for bad credentials."""
        body = {"organization_id": organization_id, "email": email, "password": password}
        self._token = None
        answer = await self.post("/v1/auth/token", body)
        self._token = answer["access_token"]
        self._renew = lambda: self.sign_in(organization_id, email, password)

    async def get(self, path: str, parameters: Parameters | None = None) -> Json:
        return _decoded("GET", path, await self._request("GET", path, parameters=parameters), Json)

    async def post(self, path: str, body: Json) -> Json:
        return _decoded("POST", path, await self._request("POST", path, body=body), Json)

    async def patch(self, path: str, body: Json) -> Json:
        return _decoded("PATCH", path, await self._request("PATCH", path, body=body), Json)

    async def delete(self, path: str) -> None:
        await self._request("DELETE", path)

    async def total(self, path: str, parameters: Parameters | None = None) -> int:
        """Count the things that a list holds."""
        page = await self.get(path, {**(parameters or {}), "limit": 1})
        return page["total"]

    async def walk(
        self, path: str, parameters: Parameters | None = None
    ) -> AsyncIterator[list[msgspec.Raw]]:
        """Yield the pages of a list, by cursor, until there is no further one; things
        as JSON text.
        """
        fixed = {**(parameters or {}), "limit": PAGE_LIMIT}
        cursor: str | None = None
        while True:
            query = fixed if cursor is None else {**fixed, "cursor": cursor}
            content = await self._request("GET", path, parameters=query)
            page = _decoded("GET", path, content, _Page)
            yield page.data
            cursor = page.next_cursor
            if cursor is None:
                return

    async def _request(
        self,
        method: str,
        path: str,
        *,
        parameters: Parameters | None = None,
        body: Json | None = None,
    ) -> bytes:
        try:
            return await self._with_patience(method, path, parameters, body)
        except ApiError as error:
            if error.status != 401 or self._token is None or self._renew is None:
                raise
        await self._renew()  # a token lives shorter than a long run
        return await self._with_patience(method, path, parameters, body)

    async def _with_patience(
        self, method: str, path: str, parameters: Parameters | None, body: Json | None
    ) -> bytes:
        deadline = asyncio.get_running_loop().time() + self._patience_s
        pause_s = _FIRST_PAUSE_S
        while True:
            try:
                return await self._once(method, path, parameters, body)
            except ApiError as error:
                now = asyncio.get_running_loop().time()
                if not _may_repeat(method, error) or now + pause_s > deadline:
                    raise
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)

    async def _once(
        self, method: str, path: str, parameters: Parameters | None, body: Json | None
    ) -> bytes:
        if self._http is None:
            raise RuntimeError("the client is not open: use `async with`")
        headers = {"Content-Type": "application/json"} if body is not None else {}
        if self._token is not None:
            headers["Authorization"] = f"Bearer {self._token}"
        data = None if body is None else msgspec.json.encode(body)
        try:
            async with self._http.request(
                method, self._base_url + path, params=parameters, data=data, headers=headers
            ) as response:
                content = await response.read()
        except aiohttp.ClientConnectorError as error:
            raise _NotReached(method, path, None, str(error)) from error
        except (aiohttp.ClientError, TimeoutError) as error:
            raise ApiError(method, path, None, str(error) or type(error).__name__) from error
        if response.status >= 300:
            shown = content[:_SHOWN_BYTES].decode(errors="replace")
            raise ApiError(method, path, response.status, shown)
        return content


class _NotReached(ApiError):
    """The connection was refused: the request cannot have been carried out."""


def _may_repeat(method: str, error: ApiError) -> bool:
    if isinstance(error, _NotReached) or error.status in (429, 503):
        return True
    return method == "GET" and (error.status is None or error.status >= 500)


def _decoded(method: str, path: str, content: bytes, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(content, type=kind)
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise ApiError(method, path, None, f"the answer cannot be read: {error}") from error
