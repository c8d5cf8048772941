"""The delivering role: sequencer, deliverer, mail, jobs and retention in one process."""

import asyncio
import gc
import os
import secrets
import signal
import socket
import sys
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from functools import partial

import structlog
import uvloop

from archive.mover import Mover
from archive.reading import Archive
from db.core.connect import connect, pool
from db.core.secrets import SecretBox
from db.core.wakeups import Channel, WakeUps
from db.history.retention import Days
from service.health import serving
from service.itself import watching_itself
from service.start import RefusedSettings, read_settings
from webhooks.archiving import Archiving
from webhooks.delivery.deliverer import Deliverer, DeliverLimits
from webhooks.delivery.fair_queue import FairQueueLimits
from webhooks.delivery.post import Poster
from webhooks.erasing import Erasing
from webhooks.exporting import Exporting
from webhooks.fan_out import FanOut
from webhooks.jobs.runner import JobRunner
from webhooks.mail.mailing import Mailing
from webhooks.mail.senders import FileSender, MailSender, SmtpSender, SmtpServer
from webhooks.metrics import WebhookMetrics
from webhooks.outages import row_guard
from webhooks.registrations import Registrations
from webhooks.retention import Retention
from webhooks.scheduled_reports import ScheduledReports
from webhooks.sequencer import Sequencer
from webhooks.settings import DeliverSettings
from webhooks.trips import TripEvents

# Objects between looks for garbage: thousands of deliveries are held at a time, none in circles.
GARBAGE = 50_000, 20, 50

_log = structlog.get_logger("webhooks")


def main() -> int:
    """Run until SIGTERM or SIGINT. Exit code: 0 stopped in order, 1 failed, 2 wrong settings."""
    try:
        settings = read_settings(DeliverSettings)
    except RefusedSettings as error:
        print(error, file=sys.stderr)
        return 2
    try:
        uvloop.run(_run(settings))
    except OSError as error:
        _log.error("cannot listen", address=settings.deliver_http, error=str(error))
        return 1
    return 0


async def _run(settings: DeliverSettings) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    metrics = WebhookMetrics()
    queues = FairQueueLimits(good_s=settings.webhook_timeout_s / 3)
    limits = DeliverLimits(
        attempt_s=settings.webhook_timeout_s,
        disable_after_s=settings.webhook_disable_after_hours * 3_600,
        queues=queues,
    )
    poster = Poster(
        allow_loopback=settings.webhook_allow_loopback,
        connections=limits.queues.in_flight,
        timeout_s=limits.attempt_s,
    )
    url = settings.database_url.get_secret_value()
    connections = pool(url, "opsc-deliver", max_size=8)
    wake_ups = WakeUps(partial(connect, url, "opsc-deliver-wakeups"))
    connections.on_committed = wake_ups.send
    metrics.watch(connections, wake_ups)
    holder = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(connections)
        await stack.enter_async_context(poster)
        box = SecretBox(settings.secret_keys)
        connect_lock = partial(connect, url, "opsc-deliver-claims")
        guard = row_guard(connections, metrics.work)
        deliverer = Deliverer(connections, connect_lock, poster, box, guard, metrics, limits)
        fan_out = FanOut(connections, wake_ups.send, guard, metrics)
        sequencer = Sequencer(connections, holder, wake_ups.send, fan_out, guard, metrics)
        await stack.enter_async_context(
            serving(settings.http_address, deliverer.trouble, metrics.text)
        )
        await stack.enter_async_context(watching_itself(metrics.registry))
        mailing = Mailing(
            connections,
            _sender(settings),
            guard,
            metrics,
            mail_from=settings.mail_from,
            public_url=settings.public_url,
        )
        retention = Retention(connections, _days(settings), guard, metrics)
        jobs = JobRunner(connections, guard, metrics)
        registrations = Registrations(connections, guard)
        reports = ScheduledReports(connections, guard)
        wake_ups.on(Channel.JOBS, jobs.wake)
        wake_ups.on(Channel.EVENTS, sequencer.wake)
        wake_ups.on(Channel.DELIVERIES, deliverer.wake)
        wake_ups.on(Channel.LETTERS, mailing.wake)
        await stack.enter_async_context(wake_ups.running())
        gc.freeze()
        gc.set_threshold(*GARBAGE)
        _log.info("started", http=settings.deliver_http)
        archive = Archive.at(settings.archive_store)
        stack.callback(archive.close)
        store, secret = archive.store, settings.archive_url
        archive_url = None if secret is None else secret.get_secret_value()
        loops: dict[str, Callable[[asyncio.Event], Awaitable[None]]] = {
            "sequencer": sequencer.run,
            "fan_out": fan_out.run,
            "endpoint_bounds": fan_out.bound,
            "deliveries": deliverer.run,
            "mail": mailing.run,
            "retention": retention.run,
            "erasures": Erasing(connections, store, guard, metrics).run,
            "exports": Exporting(connections, url, archive_url, guard, metrics).run,
            "jobs": jobs.run,
            "registrations": registrations.run,
            "reports": reports.run,
            "trips": TripEvents(connections, holder, archive, guard, metrics).run,
        }
        if store is not None:
            kept_days = settings.retention_positions_days
            mover = Mover(store, guard, settings.archive_after_days, kept_days)
            loops["archive"] = Archiving(connections, mover, metrics).run
        async with asyncio.TaskGroup() as tasks:
            for name, run in loops.items():
                tasks.create_task(guard.keep(name, run, stop))
    _log.info("stopped cleanly")


def _days(settings: DeliverSettings) -> Days:
    return Days(
        settings.retention_positions_days,
        settings.retention_events_days,
        settings.retention_audit_days,
        settings.retention_attempts_days,
    )


def _sender(settings: DeliverSettings) -> MailSender:
    if settings.mail_smtp_url is None:
        return FileSender(settings.mail_folder)
    return SmtpSender(SmtpServer.read(settings.mail_smtp_url.get_secret_value()))


if __name__ == "__main__":
    sys.exit(main())
