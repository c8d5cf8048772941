"""`opsc ingest`: the ingest role. Composition, and nothing else."""

import asyncio
import signal
import sys
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import TYPE_CHECKING

import structlog
import uvloop

from db.core.secrets import ENCRYPTION_KEYS, SecretBox
from db.history.quarantine import Bounds, DailyBound
from geofence.judging.warmup import prepare
from ingest.leader import run
from ingest.metrics import IngestMetrics
from ingest.planning.acceptance import Acceptance
from ingest.runtime import IngestRuntime
from ingest.settings import IngestSettings
from ingest.sources.batching import BatchLimits
from ingest.sources.link import LinkOptions
from mqtt import SessionOptions, Subscription
from mqtt.client.options import PENDING_PUBLISHES_MAX
from service.amqp.address import log_tls
from service.health import serving
from service.itself import watching_itself
from service.start import RefusedSettings, read_settings
from telemetry.formats.decode import SUBSCRIPTIONS

if TYPE_CHECKING:
    from ingest.sources.log import LogSource

# How long the planning thread may keep the event loop waiting; Python's own default is ten times
# as long, in which COPY runs dry.
_SWITCH_S = 0.0005

_log = structlog.get_logger("ingest")


def main() -> int:
    """Run until SIGTERM or SIGINT. Exit code: 0 stopped in order, 1 failed, 2 wrong settings."""
    try:
        settings = read_settings(IngestSettings)
    except RefusedSettings as error:
        print(error, file=sys.stderr)
        return 2
    sys.setswitchinterval(_SWITCH_S)
    try:
        uvloop.run(_serve(_runtime(settings), settings))
    except OSError as error:
        _log.error("cannot listen", address=settings.ingest_http, error=str(error))
        return 1
    return 0


def _runtime(settings: IngestSettings) -> IngestRuntime:
    password = settings.broker_password
    return IngestRuntime(
        database_url=settings.database_url.get_secret_value(),
        link=_link(settings),
        open_log=_log_source(settings),
        broker=settings.broker_address(),
        session_options=SessionOptions(
            client_id=settings.broker_client_id,
            username=settings.broker_username,
            password=None if password is None else password.get_secret_value().encode(),
            max_pending_publishes=PENDING_PUBLISHES_MAX,  # receipts of several batches
            subscriptions=tuple(Subscription(topic_filter) for topic_filter in SUBSCRIPTIONS),
        ),
        limits=BatchLimits(
            messages=settings.ingest_batch_messages,
            bytes=settings.ingest_batch_bytes,
            latency_ms=settings.ingest_latency_ms,
        ),
        batch_fixes=settings.ingest_batch_fixes,
        batch_transitions=settings.ingest_batch_transitions,
        lease_s=settings.ingest_lease_s,
        metrics=IngestMetrics(),
        encryption_keys=_encryption_keys(settings),
        acceptance=_acceptance(settings),
    )


def _encryption_keys(settings: IngestSettings) -> SecretBox | None:
    ring = settings.secret_keys
    return None if ring is None else SecretBox(ring, ENCRYPTION_KEYS)


def _link(settings: IngestSettings) -> LinkOptions | None:
    address = settings.link_address()
    if address is None:
        return None
    key = settings.link_secret.get_secret_value().encode()
    return LinkOptions(address, key, settings.link_tls(), settings.advertised_address())


def _log_source(
    settings: IngestSettings,
) -> "Callable[[int], AbstractAsyncContextManager[LogSource]] | None":
    address = settings.log_address()
    if address is None:
        return None
    from ingest.sources.log import LogOptions, LogSource

    return partial(LogSource, LogOptions(address, log_tls(address, settings.log_tls_ca)))


def _acceptance(settings: IngestSettings) -> Acceptance:
    return Acceptance(
        max_fixes_per_s=settings.ingest_tracker_fixes_per_s,
        retention_days=settings.retention_positions_days,
        quarantine_days=settings.retention_quarantine_days,
        bounds=Bounds(
            of_tracker=DailyBound(
                settings.quarantine_tracker_messages_per_day,
                settings.quarantine_tracker_bytes_per_day,
            ),
            without_organization=DailyBound(
                settings.quarantine_unknown_messages_per_day,
                settings.quarantine_unknown_bytes_per_day,
            ),
        ),
    )


async def _serve(runtime: IngestRuntime, settings: IngestSettings) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, runtime.stopping.set)
    pages = (runtime.trouble, runtime.metrics.page)
    itself = watching_itself(runtime.metrics.registry)
    async with serving(settings.http_address, *pages), itself:
        await asyncio.to_thread(prepare)  # before it owns anything: others may work meanwhile
        await run(runtime)


if __name__ == "__main__":
    sys.exit(main())
