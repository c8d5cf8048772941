"""Letters that fail as nobody foresaw, and schedules of reports: the others are mailed."""

from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from email.message import EmailMessage
from functools import partial
from typing import Any
from uuid import UUID

import pytest

from db.core.connect import Pool
from db.core.ids import new_id
from db.delivery.mail_outbox import Letter
from tests.waiting import until
from tests.webhooks.mail.test_scheduled_reports import due, schedules
from tests.webhooks.poison.guards import (
    AT_ONCE,
    at_work,
    guard_of,
    let_go,
    nothing_fails,
    poisoned,
    was_set_aside,
)
from tests.webhooks.world import World
from webhooks.mail import mailing as mailing_module
from webhooks.mail.mailing import Mailing
from webhooks.metrics import WebhookMetrics
from webhooks.scheduled_reports import ScheduledReports


@dataclass
class Taken:
    """A mail server that takes all letters."""

    letters: list[EmailMessage] = field(default_factory=list[EmailMessage])

    async def send(self, letter: EmailMessage) -> None:
        self.letters.append(letter)


def mailing_of(connections: Pool, server: Taken) -> Mailing:
    return Mailing(
        connections,
        server,
        guard_of(connections, AT_ONCE),
        WebhookMetrics(),
        mail_from="ops@example.com",
        public_url="https://ops.example.com",
    )


async def reset(world: World, org_id: UUID) -> UUID:
    """Ask for a password reset of the organization's admin; returns the letter."""
    letter_id = new_id()
    await world.admin.execute(
        "INSERT INTO mail_outbox (org_id, id, purpose, email)"
        " VALUES (%s, %s, 'password_reset', 'a@example.com')",
        (org_id, letter_id),
    )
    return letter_id


async def letters(world: World) -> list[tuple[UUID, int]]:
    """Return the letters that wait, and how often each was tried."""
    cursor = await world.admin.execute("SELECT id, attempts FROM mail_outbox")
    return await cursor.fetchall()


async def waits_alone(world: World, letter_id: UUID) -> bool:
    return await letters(world) == [(letter_id, 0)]


async def none_waits(world: World) -> bool:
    return await letters(world) == []


def fails_to_compose(monkeypatch: pytest.MonkeyPatch, name: str, letter_id: UUID) -> None:
    """Let a function that composes letters raise what nobody foresaw for one of them."""
    compose = getattr(mailing_module, name)

    def composed(letter: Letter, *facts: Any) -> EmailMessage:
        if letter.id == letter_id:
            raise TypeError("nobody foresaw this")
        return compose(letter, *facts)

    monkeypatch.setattr(mailing_module, name, composed)


async def test_a_letter_that_cannot_be_written_waits_alone(
    world: World, connections: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad, good = [await world.organization() for _ in range(2)]
    letter_id, *_ = [await reset(world, org_id) for org_id in (bad, bad, good)]
    server = Taken()
    mailing = mailing_of(connections, server)
    async with at_work(mailing.run, wake=mailing.wake):
        with monkeypatch.context() as patch:
            fails_to_compose(patch, "compose", letter_id)
            await was_set_aside(world.admin, "letter", letter_id)
            await until(partial(waits_alone, world, letter_id))  # and its attempts do not count
            assert len(server.letters) == 2
        await let_go(world.admin, "letter")
        await until(partial(none_waits, world))
        await until(partial(nothing_fails, world.admin))
    assert len(server.letters) == 3


async def test_a_letter_whose_sending_cannot_be_written_down_is_sent_once(
    world: World, connections: Pool
) -> None:
    bad, good = [await world.organization() for _ in range(2)]
    letter_id, *_ = [await reset(world, org_id) for org_id in (bad, bad, good)]
    server = Taken()
    mailing = mailing_of(connections, server)
    async with at_work(mailing.run, wake=mailing.wake):
        async with poisoned(world.admin, "DELETE ON mail_outbox", f"OLD.id = '{letter_id}'"):
            await was_set_aside(world.admin, "letter", letter_id)
            await until(partial(waits_alone, world, letter_id))
        await let_go(world.admin, "letter")
        await until(partial(none_waits, world))
        await until(partial(nothing_fails, world.admin))
    assert len(server.letters) == 3


async def test_a_letter_about_a_report_waits_alone(
    world: World, connections: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    await schedules(world, 2)
    await ScheduledReports(connections, guard_of(connections)).mail_due()
    (letter_id, _), _ = await letters(world)
    await reset(world, await world.organization())
    server = Taken()
    mailing = mailing_of(connections, server)
    async with at_work(mailing.run, wake=mailing.wake):
        with monkeypatch.context() as patch:
            fails_to_compose(patch, "compose_report", letter_id)
            await was_set_aside(world.admin, "letter", letter_id)
            await until(partial(waits_alone, world, letter_id))
        await let_go(world.admin, "letter")
        await until(partial(none_waits, world))
        await until(partial(nothing_fails, world.admin))
    assert len(server.letters) == 3


async def test_what_has_expired_and_cannot_be_removed_keeps_no_letter_back(
    world: World, connections: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mailing_module, "_CLEAN_EVERY_S", 0)
    org_id = await world.organization()
    server = Taken()
    mailing = mailing_of(connections, server)
    async with AsyncExitStack() as fault, at_work(mailing.run, wake=mailing.wake):
        await reset(world, org_id)
        await until(partial(none_waits, world))
        await fault.enter_async_context(
            poisoned(world.admin, "DELETE ON user_links", f"OLD.org_id = '{org_id}'")
        )
        await world.admin.execute("UPDATE user_links SET expires_at = '-infinity'")
        mailing.wake()
        await was_set_aside(world.admin, "cleaning", "expired")
        await reset(world, org_id)
        mailing.wake()
        await until(partial(none_waits, world))
        await fault.aclose()
        await let_go(world.admin, "cleaning")
        await until(partial(nothing_fails, world.admin))
    assert len(server.letters) == 2


async def test_a_schedule_that_fails_lets_all_others_be_mailed(
    world: World, connections: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("webhooks.scheduled_reports.LOOK_S", 0.02)
    bad, other = await schedules(world, 2)
    (foreign,) = await more_schedules(world)
    reports = ScheduledReports(connections, guard_of(connections, AT_ONCE))
    async with at_work(reports.run):
        condition = f"NEW.schedule_id = '{bad}'"
        async with poisoned(world.admin, "UPDATE ON report_schedule_runs", condition):
            await was_set_aside(world.admin, "report", bad)
            await until(partial(are_mailed, world, {other, foreign}))
        await let_go(world.admin, "report")
        await until(partial(are_mailed, world, {bad, other, foreign}))
        await until(partial(nothing_fails, world.admin))
    assert await due(world) == 0


async def more_schedules(world: World) -> list[UUID]:
    """Copy a schedule for another organization."""
    org_id, schedule_id = await world.organization(), new_id()
    columns = (
        "name, report, filters, cadence, weekday, month_day, local_time, time_zone, enabled,"
        " created_at, updated_at"
    )
    await world.admin.execute(
        f"INSERT INTO report_schedules (org_id, id, recipient_ids, {columns})"
        f" SELECT %s, %s, (SELECT array_agg(id) FROM users WHERE org_id = %s), {columns}"
        "   FROM report_schedules LIMIT 1",
        (org_id, schedule_id, org_id),
    )
    await world.admin.execute(
        "INSERT INTO report_schedule_runs (org_id, schedule_id, next_run_at)"
        " VALUES (%s, %s, now() - interval '1 day')",
        (org_id, schedule_id),
    )
    return [schedule_id]


async def are_mailed(world: World, schedule_ids: set[UUID]) -> bool:
    cursor = await world.admin.execute(
        "SELECT schedule_id FROM mail_outbox WHERE purpose = 'report'"
    )
    return sorted(await cursor.fetchall()) == sorted((one,) for one in schedule_ids)
