"""GET /healthz (the process lives), /readyz (it can do its work), /metrics (Prometheus)."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

from aiohttp import web

STANDS_BY = "standing by: another process is the leader"  # and may be followed at once
HTTP_ADDRESS_FORM = "host:port like 127.0.0.1:9101"
_ADDRESS = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\[\]:\s]+):(\d{1,5})")


def read_address(text: str) -> tuple[str, int]:
    """Read the host and port to serve at. Raises ValueError."""
    match = _ADDRESS.fullmatch(text)
    if match is None or int(match[2]) > 65_535:
        raise ValueError(f"must be {HTTP_ADDRESS_FORM}, not {text!r}")
    return match[1].strip("[]"), int(match[2])


@asynccontextmanager
async def serving(
    address: tuple[str, int],
    trouble: Callable[[], str | Awaitable[str | None] | None],
    metrics: Callable[[], bytes],
    warnings: Callable[[], Sequence[str]] = tuple,
) -> AsyncIterator[None]:
    """Serve while the block runs. Raises OSError where the address cannot be had.

    trouble: why the process cannot do its work just now, None where it can.
    metrics: the page in Prometheus' text format. warnings: what an operator must know although the
    process works; shown by /readyz, whose answer is 200 all the same.
    """

    async def healthz(_: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def readyz(_: web.Request) -> web.Response:
        what = trouble()
        if isinstance(what, Awaitable):
            what = await what
        page: dict[str, object] = {"status": what or "ok"}
        if messages := warnings():
            page["warnings"] = list(messages)
        return web.json_response(page, status=200 if what is None else 503)

    async def page(_: web.Request) -> web.Response:
        return web.Response(body=metrics(), headers={"content-type": "text/plain; version=0.0.4"})

    app = web.Application()
    app.add_routes(
        [
            web.get("/healthz", healthz),
            web.get("/readyz", readyz),
            web.get("/metrics", page),
        ]
    )
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
    await runner.setup()
    try:
        await web.TCPSite(runner, *address).start()
        yield
    finally:
        await runner.cleanup()
