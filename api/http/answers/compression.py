"""Answers compressed with br or gzip, where the client accepts it and it is worth it.

Only complete answers to GET of 2 KiB or more are compressed. An answer to a POST may have a secret
beside text of the client, and the compressed length could reveal the secret. A compressed answer is
another representation, so its tag differs: `"tag.br"`. What is the same for everybody is compressed
once, and its messages bring both forms (`api.http.answers.fixed_answers`).
"""

import asyncio
import zlib
from collections.abc import Callable, Mapping
from functools import lru_cache

import brotli
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.http.headers import weights

FORMS = "opsc.forms"
"""The key in a message of a body that is compressed already: its forms by their coding."""
LEAST_BYTES = 2 * 1024
_IN_A_THREAD_BYTES = 64 * 1024  # so much takes a millisecond, in which nobody else is served
_GZIP_WBITS = 31
_TYPES = ("application/json", "application/geo+json", "text/", "application/javascript")


def _gzip(content: bytes, level: int = 1) -> bytes:
    compressor = zlib.compressobj(level, zlib.DEFLATED, _GZIP_WBITS)
    return compressor.compress(content) + compressor.flush()


def _br(content: bytes, quality: int = 3) -> bytes:
    return brotli.compress(content, quality=quality)


def forms_of(content: bytes, media_type: str) -> dict[str, bytes]:
    """Return the compressed forms of what is made once, by their coding, none where that is not
    worth it. It takes a tenth of a second for a megabyte.
    """
    if len(content) < LEAST_BYTES or not media_type.startswith(_TYPES):
        return {}
    return {"br": _br(content, 9), "gzip": _gzip(content, 9)}


_CODINGS: Mapping[str, Callable[[bytes], bytes]] = {"br": _br, "gzip": _gzip}  # the better first


class Compressing:
    """ASGI middleware."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "GET":
            await self._app(scope, receive, send)
            return
        start: Message | None = None

        async def send_compressed(message: Message) -> None:
            nonlocal start
            if message["type"] == "http.response.start":
                start = message
                return
            if start is not None:
                begun, start = start, None
                _vary(begun)
                if _is_large(message) and begun["status"] == 200:
                    accepted = Headers(scope=scope).get("accept-encoding", "")
                    message = await _compressed(message, MutableHeaders(scope=begun), accepted)
                await send(begun)
            await send(message)

        await self._app(scope, receive, send_compressed)


def _vary(begun: Message) -> None:
    if b"vary" in [name for name, _ in begun["headers"]]:
        MutableHeaders(scope=begun).add_vary_header("Accept-Encoding")
    else:
        begun["headers"] = [*begun["headers"], (b"vary", b"Accept-Encoding")]


def _is_large(message: Message) -> bool:
    """Return whether it is all of an answer, and long enough."""
    return len(message.get("body", b"")) >= LEAST_BYTES and not message.get("more_body", False)


async def _compressed(message: Message, headers: MutableHeaders, accepted: str) -> Message:
    content: bytes = message["body"]
    coding = liked_coding(accepted)
    if coding is None or "content-encoding" in headers:
        return message
    if not headers.get("content-type", "").startswith(_TYPES):
        return message
    if FORMS in message:
        content = message[FORMS][coding]
    elif len(content) > _IN_A_THREAD_BYTES:
        content = await asyncio.to_thread(_CODINGS[coding], content)
    else:
        content = _CODINGS[coding](content)
    headers["Content-Encoding"] = coding
    headers["Content-Length"] = str(len(content))
    if "etag" in headers:
        headers["ETag"] = f'{headers["etag"][:-1]}.{coding}"'
    return {**message, "body": content}


@lru_cache(maxsize=64)
def liked_coding(accepted: str) -> str | None:
    """Return the coding of ours that the client likes best; None where it takes none."""
    weight_of = weights(accepted)
    liked = {coding: weight_of.get(coding, weight_of.get("*", 0.0)) for coding in _CODINGS}
    best = max(liked, key=lambda coding: liked[coding])
    return best if liked[best] > 0 else None
