"""`Idempotency-Key`: a POST that is repeated with the same key is done once.

The first run keeps its answer, sealed, in the transaction of its effect, and later ones get it
again with `Idempotency-Replayed: true`. While one runs another gets a 409, and the same key with
another request (or of another user) a 422. A key counts from where the handler's transaction
begins: a request that was refused before may be mended and sent again with it. An answer of 429 or
5xx is not kept, and what led to it is not done.

The header is that of draft-ietf-httpapi-idempotency-key-header: a quoted string, or the same
without quotes.
"""

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from hashlib import sha256

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from api.auth.caller import Caller
from api.context import ApiState
from api.http.errors import REFUSALS, problem_of
from api.http.middleware import refuse
from api.http.problems import Problem, conflict
from db.core.connect import Connection
from db.core.secrets import UnsealError
from db.requests import idempotency
from db.requests.idempotency import KeptAnswer

_MOST_CHARACTERS = 255
_QUOTED = re.compile(r'"((?:[ !#-\[\]-~]|\\["\\])+)"')
_PLAIN = re.compile(r"[!#-+\--~]+")
_KEPT_HEADERS = ("content-type", "location", "etag")
_TRIM_EVERY = 64


class _Answer(msgspec.Struct, array_like=True, frozen=True):
    status: int
    headers: dict[str, str]
    content: bytes

    def response(self) -> Response:
        headers = {**self.headers, "Idempotency-Replayed": "true"}
        return Response(self.content, self.status, headers)


class _Replay(Exception):
    """The request was answered before."""

    def __init__(self, response: Response) -> None:
        super().__init__()
        self.response = response


class _Refused(Exception):
    """The key cannot be used for the request. No handler may take it for a refusal of its own."""

    def __init__(self, problem: Problem) -> None:
        super().__init__()
        self.problem = problem


class KeyedRequest:
    """One run of a request with a key. Its transaction is open from the handler's first one on to
    the end; those of the handler are parts of it."""

    def __init__(
        self, state: ApiState, caller: Caller, operation: str, key: str, fingerprint: bytes
    ) -> None:
        self._state = state
        self._caller = caller
        self._operation = operation
        self._key = key
        self._fingerprint = fingerprint
        self._stack = AsyncExitStack()
        self._conn: Connection | None = None

    async def run(
        self, request: Request, handle: Callable[[Request], Awaitable[Response]]
    ) -> Response:
        """Answer, and keep the answer if the handler began a transaction."""
        async with self._stack:
            try:
                response = await handle(request)
            except _Replay as replay:
                return replay.response
            except _Refused as refused:
                return refuse(request.scope, refused.problem)
            except REFUSALS as error:
                problem = problem_of(error)
                if problem is None or problem.status == 429 or problem.status >= 500:
                    raise
                response = refuse(request.scope, problem)
            if self._conn is not None:
                await self._keep(self._conn, response)
            return response

    @asynccontextmanager
    async def transaction(
        self, whole: AbstractAsyncContextManager[Connection]
    ) -> AsyncIterator[Connection]:
        """Begin a part of the transaction, which is `whole` where none is open yet."""
        if self._conn is None:
            conn = await self._stack.enter_async_context(whole)
            try:
                await self._claim(conn)
            except Problem as problem:
                raise _Refused(problem) from None
            self._conn = conn
        async with self._conn.transaction():
            yield self._conn

    async def _claim(self, conn: Connection) -> None:
        is_ours, kept = await idempotency.claim(conn, self._operation, self._key)
        if kept is None:
            if not is_ours:
                detail = "A request with this Idempotency-Key is still running: try again later."
                raise conflict("idempotency_in_flight", detail)
        elif kept.fingerprint != self._fingerprint:
            detail = "This Idempotency-Key was used for a different request before."
            raise Problem(422, "idempotency_mismatch", detail)
        else:
            raise _Replay(self._opened(kept).response())

    def _opened(self, kept: KeptAnswer) -> _Answer:
        try:
            opened = self._state.kept_answers.open(kept.answer_encrypted, self._owner)
        except UnsealError:  # no key of the ring is the one of then
            detail = "The request was carried out, but its answer can no longer be read."
            raise conflict("idempotency_answer_lost", detail) from None
        return msgspec.msgpack.decode(opened, type=_Answer)

    async def _keep(self, conn: Connection, response: Response) -> None:
        headers = {
            name: response.headers[name] for name in _KEPT_HEADERS if name in response.headers
        }
        answer = _Answer(response.status_code, headers, bytes(response.body))
        sealed = self._state.kept_answers.seal(msgspec.msgpack.encode(answer), self._owner)
        kept = KeptAnswer(self._fingerprint, sealed)
        await idempotency.keep(conn, self._operation, self._key, kept)
        if sealed[-1] % _TRIM_EVERY == 0:  # at random: the last byte of a seal is
            await idempotency.trim(conn)

    @property
    def _owner(self) -> bytes:
        return idempotency.owner(self._caller.org_id, self._operation, self._key)


def read_key(request: Request) -> str | None:
    """Return the key of a request. Raises Problem (400) for a header that is none."""
    headers = request.headers.getlist("idempotency-key")
    if not headers:
        return None
    quoted = _QUOTED.fullmatch(headers[0])
    key = re.sub(r"\\(.)", r"\1", quoted[1]) if quoted else headers[0]
    if len(headers) > 1 or len(key) > _MOST_CHARACTERS or not (quoted or _PLAIN.fullmatch(key)):
        detail = (
            f"Idempotency-Key must be one value of 1 to {_MOST_CHARACTERS} ASCII characters."
            ' Put it in quotes if it contains spaces or commas: "my key".'
        )
        raise Problem(400, "invalid_idempotency_key", detail)
    return key


def fingerprint(caller: Caller, request: Request, body: object) -> bytes:
    """Hash who asks what; `body` as it was read: blanks and the order of fields say nothing."""
    query = request.scope["query_string"]
    asked = [caller.user_id.bytes, request.scope["path"], query, body]
    return sha256(msgspec.json.encode(asked, order="sorted")).digest()
