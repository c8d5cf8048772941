"""GET /healthz (the process lives), /readyz (the database answers), /metrics (Prometheus)."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from aiohttp import web

from webhooks.metrics import Metrics


@asynccontextmanager
async def serving(
    address: tuple[str, int], is_ready: Callable[[], bool], metrics: Metrics
) -> AsyncIterator[None]:
    """Serves while the block runs. Raises OSError where the address cannot be had."""

    async def healthz(_: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def readyz(_: web.Request) -> web.Response:
        if is_ready():
            return web.json_response({"status": "ok"})
        return web.json_response({"status": "the database cannot be reached"}, status=503)

    async def exposition(_: web.Request) -> web.Response:
        return web.Response(
            body=metrics.text(), headers={"content-type": "text/plain; version=0.0.4"}
        )

    app = web.Application()
    app.add_routes(
        [
            web.get("/healthz", healthz),
            web.get("/readyz", readyz),
            web.get("/metrics", exposition),
        ]
    )
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
    await runner.setup()
    try:
        await web.TCPSite(runner, *address).start()
        yield
    finally:
        await runner.cleanup()
