"""Answers that are the same for everybody for as long as a process lives: content, tag and both
compressed forms are made once, by the first request.
"""

import asyncio
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from api.http.answers.compression import FORMS, forms_of, liked_coding
from api.http.etags import tag_of

_MAKING = ThreadPoolExecutor(1, thread_name_prefix="fixed-answers")
_SWITCH_S = 0.001
"""While an answer is made, the event loop waits so long for the interpreter, each time."""


class _Made(NamedTuple):
    content: bytes
    tag: str
    forms: Mapping[str, bytes]


class FixedAnswer:
    """One such answer. write: returns the content, on a thread."""

    def __init__(
        self,
        write: Callable[[Request], bytes],
        media_type: str,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self._write, self._media_type, self._headers = write, media_type, headers or {}
        self._making: Future[None] | None = None
        self._made: _Made | None = None

    async def response(self, request: Request) -> Response:
        """Return the answer to a request."""
        if self._made is None:
            if self._making is None or self._making.done():  # done and not made: it has failed
                self._making = _MAKING.submit(self._make, request)
            await asyncio.shield(asyncio.wrap_future(self._making))
            assert self._made is not None
        headers = {"ETag": self._made.tag, **self._headers}
        return _FixedResponse(self._made, headers, self._media_type)

    def _make(self, request: Request) -> None:
        usual_s = sys.getswitchinterval()
        sys.setswitchinterval(_SWITCH_S)
        try:
            content = self._write(request)
            self._made = _Made(content, tag_of(content), forms_of(content, self._media_type))
        finally:
            sys.setswitchinterval(usual_s)


class _FixedResponse(Response):
    """A response that brings its compressed forms."""

    def __init__(self, made: _Made, headers: Mapping[str, str], media_type: str) -> None:
        super().__init__(made.content, 200, headers, media_type)
        self.forms = made.forms

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_forms(message: Message) -> None:
            if message["type"] == "http.response.body":
                message = {**message, FORMS: self.forms}
            await send(message)

        await super().__call__(scope, receive, send_with_forms)


def sent_bytes(request: Request, response: Response) -> int:
    """Return how many bytes of content are sent to who made the request; 0 where that is not known
    before.
    """
    if isinstance(response, _FixedResponse):
        coding = liked_coding(request.headers.get("accept-encoding", ""))
        return len(response.forms.get(coding or "", response.body))
    return int(response.headers.get("content-length", 0))
