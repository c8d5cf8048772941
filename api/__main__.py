"""`opsc api`: the API role, one process or several behind one socket."""

import gc
import resource
import signal
import ssl
import sys
from collections.abc import Callable
from typing import Any

import uvicorn
from fastapi import FastAPI
from uvicorn.supervisors import Multiprocess

from api.app import create_app
from api.http import websocket
from api.http.server import ACCEPTED_AT_ONCE, BoundedHttp, QuickServer
from api.http.websocket import BoundedWebSocket
from api.settings import ApiSettings
from db.core.connect import Limits, pool
from service.start import RefusedSettings, read_settings

_STOP_S = 10  # how long requests under way may take when the process is told to stop


def main() -> int:
    """Serve until SIGTERM or SIGINT. Exit code 0 good, 1 failed, 2 wrong settings."""
    try:
        settings = read_settings(ApiSettings)
    except RefusedSettings as error:
        print(error, file=sys.stderr)
        return 2
    _raise_file_limit()
    if settings.api_processes > 1:
        return _serve_by_several(settings)
    return _serve(settings)


def _raise_file_limit() -> None:
    """Let each process have as many open files as it may: a WebSocket is one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def application() -> FastAPI:
    """Return the application of one worker process, from the environment."""
    return _application(read_settings(ApiSettings))


def _application(settings: ApiSettings) -> FastAPI:
    connections = pool(
        settings.database_url.get_secret_value(),
        "opsc-api",
        max_size=settings.api_max_database_connections,
        limits=Limits(statement_s=settings.api_statement_timeout_s),
    )
    app = create_app(settings, connections, settings.page_addresses)
    gc.collect()
    gc.freeze()  # else a body of 100,000 vertices has all of it looked through again, several times
    return app


def _serve_by_several(settings: ApiSettings) -> int:
    """Serve by worker processes behind one socket, which each has ACCEPTED_AT_ONCE times."""
    config = uvicorn.Config("api.__main__:application", factory=True, **server_options(settings))
    listening = config.bind_socket()
    same = [listening.dup() for _ in range(ACCEPTED_AT_ONCE - 1)]
    Multiprocess(config, sockets=[listening, *same]).run()
    return 0


def _serve(settings: ApiSettings) -> int:
    server = QuickServer(uvicorn.Config(_application(settings), **server_options(settings)))

    def stop(*_: object) -> None:
        server.should_exit = True

    # uvicorn takes the signals over while it serves and raises them again afterwards: with these
    # in place that does no harm, and a signal that comes before is not lost.
    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    try:
        server.run()
    except SystemExit:  # uvicorn's own way to say that it could not start, and has said why
        return 1
    return 0 if server.started else 1


def server_options(settings: ApiSettings) -> dict[str, Any]:
    options: dict[str, Any] = {
        "host": settings.api_host,
        "port": settings.api_port,
        "workers": settings.api_processes,
        "loop": "uvloop",
        "http": BoundedHttp,
        "ws": BoundedWebSocket,
        **websocket.OPTIONS,
        "lifespan": "on",
        "proxy_headers": True,
        "forwarded_allow_ips": settings.api_proxy_networks,
        "access_log": False,
        "log_config": None,
        "server_header": False,
        "timeout_graceful_shutdown": _STOP_S,
    }
    if settings.tls_cert is not None:
        options["ssl_certfile"] = settings.tls_cert
        options["ssl_keyfile"] = settings.tls_key
        options["ssl_context_factory"] = _tls13
    return options


def _tls13(_: uvicorn.Config, default: Callable[[], ssl.SSLContext]) -> ssl.SSLContext:
    """Return a context of TLS 1.3 and nothing older."""
    context = default()
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    return context


if __name__ == "__main__":
    sys.exit(main())
