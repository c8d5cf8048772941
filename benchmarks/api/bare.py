"""The ceiling of the API: a bare ASGI application on the same server that answers ready bytes.

    BENCH_ANSWERS=FILE OPSC_...=... python -m benchmarks.api.bare

FILE is JSON: path -> status and content, in base64. The settings are those of the API, and so are
server, loop, parser and number of processes; there is no framework, no sign-in and no database.
"""

import os
import sys
from pathlib import Path
from typing import Any

import msgspec
import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from api.__main__ import server_options
from api.settings import ApiSettings


class ReadyAnswer(msgspec.Struct, frozen=True):
    status: int
    content: bytes


def application() -> ASGIApp:
    """Return the application of one process."""
    answers = msgspec.json.decode(
        Path(os.environ["BENCH_ANSWERS"]).read_bytes(), type=dict[str, ReadyAnswer]
    )

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        ready = answers[scope["path"]]
        while (await receive()).get("more_body", False):
            pass
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(ready.content)),
        ]
        await send({"type": "http.response.start", "status": ready.status, "headers": headers})
        await send({"type": "http.response.body", "body": ready.content})

    return answer


def main() -> int:
    settings = ApiSettings()  # pyright: ignore[reportCallIssue]  # from the environment
    options: dict[str, Any] = server_options(settings) | {"lifespan": "off"}
    uvicorn.run("benchmarks.api.bare:application", factory=True, **options)
    return 0


if __name__ == "__main__":
    sys.exit(main())
