"""The delivering role as a process of its own."""

import asyncio
import base64
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from stack.servers.postgres import free_port
from tests.servers import ANY_PORT
from tests.webhooks.world import SECRET_KEY


@asynccontextmanager
async def process(database_url: str, **settings: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run `python -m webhooks`; killed at the end where it still runs."""
    started = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "webhooks",
        env={
            "PATH": os.environ["PATH"],
            "OPSC_DATABASE_URL": database_url,
            "OPSC_SECRET_KEY": base64.urlsafe_b64encode(SECRET_KEY).decode(),
            "OPSC_DELIVER_HTTP": f"127.0.0.1:{free_port(ANY_PORT)}",
            "OPSC_WEBHOOK_ALLOW_LOOPBACK": "true",
            "OPSC_WEBHOOK_TIMEOUT_S": "1",
            **settings,
        },
    )
    try:
        yield started
    finally:
        if started.returncode is None:
            started.kill()
        await started.wait()
