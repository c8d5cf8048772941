"""Quotes whose letter or expiry fails as nobody foresaw: all others are mailed, and expire."""

from collections.abc import AsyncIterator
from email.message import EmailMessage
from functools import partial
from typing import Any

import pytest

from db.core.connect import Connection, connect, pool
from db.delivery.mail_outbox import Letter
from telemetry.ids import parse_id
from tests.api.mailbox import Mailbox
from tests.api.resources.quoting import done, draft, events_of, read, sent
from tests.api.running import Organization, RunningApi
from tests.servers import DatabaseUnderTest
from tests.waiting import until
from tests.webhooks.poison.guards import (
    AT_ONCE,
    at_work,
    guard_of,
    let_go,
    nothing_fails,
    poisoned,
    was_set_aside,
)
from webhooks.mail import mailing as mailing_module
from webhooks.mail.mailing import Mailing
from webhooks.metrics import WebhookMetrics

pytestmark = pytest.mark.own_api


class _Sender:
    """A mail server that takes all."""

    def __init__(self) -> None:
        self.taken: list[EmailMessage] = []

    async def send(self, letter: EmailMessage) -> None:
        self.taken.append(letter)


@pytest.fixture
async def admin(database: DatabaseUnderTest) -> AsyncIterator[Connection]:
    """An administrator of a database without letters."""
    async with await connect(database.url("admin"), "test") as conn:
        await conn.execute("TRUNCATE mail_outbox, failing_work")
        yield conn


@pytest.fixture
def sender() -> _Sender:
    return _Sender()


@pytest.fixture
async def mailing(database: DatabaseUnderTest, sender: _Sender) -> AsyncIterator[Mailing]:
    """The loop, with one connection: the guard never waits for one that the loop holds."""
    url = database.url("opsc_deliver")
    async with pool(url, "test-mail", max_size=1, wait_s=2) as connections:
        guard = guard_of(connections, AT_ONCE)
        addresses = {"mail_from": "a@b.c", "public_url": "https://b.c"}
        yield Mailing(connections, sender, guard, WebhookMetrics(), **addresses)


async def are(org: Organization, status: str, *asked: dict[str, Any]) -> bool:
    return {(await read(org, quote))["status"] for quote in asked} == {status}


async def queued(*orgs: Organization) -> list[dict[str, Any]]:
    """Let a quote of each wait for its letter."""
    quotes = [await draft(org) for org in orgs]
    for org, quote in zip(orgs, quotes, strict=True):
        assert (await done(org, quote, "send")).status == 202
    return quotes


async def test_a_quote_whose_letter_cannot_be_written_waits_alone(
    org: Organization,
    south: Organization,
    admin: Connection,
    mailing: Mailing,
    sender: _Sender,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bad, other, foreign = await queued(org, org, south)
    key, compose = parse_id("quo", bad["id"]), mailing_module.compose_quote
    cursor = await admin.execute("SELECT id FROM mail_outbox WHERE quote_id = %s", (key,))
    ((letter_id,),) = await cursor.fetchall()

    def composed(letter: Letter, *facts: Any) -> EmailMessage:
        if letter.quote_id == key:
            raise TypeError("nobody foresaw this")
        return compose(letter, *facts)

    async with at_work(mailing.run, wake=mailing.wake):
        with monkeypatch.context() as patch:
            patch.setattr(mailing_module, "compose_quote", composed)
            await was_set_aside(admin, "letter", letter_id)
            await until(partial(are, org, "sent", other))
            await until(partial(are, south, "sent", foreign))
            assert await are(org, "draft", bad)
        await let_go(admin, "letter")
        await until(partial(are, org, "sent", bad, other))
        await until(partial(nothing_fails, admin))
    assert len(sender.taken) == 3


async def test_a_quote_that_cannot_be_marked_as_sent_is_sent_once(
    org: Organization, admin: Connection, mailing: Mailing, sender: _Sender
) -> None:
    (bad,) = await queued(org)
    key = parse_id("quo", bad["id"])
    ((letter_id,),) = await (await admin.execute("SELECT id FROM mail_outbox")).fetchall()
    async with at_work(mailing.run, wake=mailing.wake):
        async with poisoned(admin, "INSERT ON quote_evidence", f"NEW.quote_id = '{key}'"):
            await was_set_aside(admin, "letter", letter_id)
        await let_go(admin, "letter")
        await until(partial(are, org, "sent", bad))
        await until(partial(nothing_fails, admin))
    assert len(sender.taken) == 1


async def test_a_letter_that_fails_can_be_withdrawn(
    org: Organization, admin: Connection, mailing: Mailing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its claim is let go of: it does not count as being sent just now."""
    (bad,) = await queued(org)
    ((letter_id,),) = await (await admin.execute("SELECT id FROM mail_outbox")).fetchall()

    def composed(*_: object) -> EmailMessage:
        raise TypeError("nobody foresaw this")

    monkeypatch.setattr(mailing_module, "compose_quote", composed)
    async with at_work(mailing.run, wake=mailing.wake):
        await was_set_aside(admin, "letter", letter_id)
        await until(partial(is_withdrawn, org, bad))


async def is_withdrawn(org: Organization, quote: dict[str, Any]) -> bool:
    return (await done(org, quote, "withdraw")).status == 200


async def test_quotes_that_cannot_expire_let_all_others_expire(
    api: RunningApi,
    org: Organization,
    south: Organization,
    admin: Connection,
    mailbox: Mailbox,
    mailing: Mailing,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(mailing_module, "_CLEAN_EVERY_S", 0)
    monkeypatch.setattr(mailing_module, "_EXPIRED_QUOTES", 1)  # a failing one is the first
    (bad, _), (other, _), (foreign, _) = [await sent(one, mailbox) for one in (org, org, south)]
    key = parse_id("quo", bad["id"])
    for quote, last_day in ((bad, "2020-01-01"), (other, "2020-01-02"), (foreign, "2020-01-03")):
        await admin.execute(
            "UPDATE quotes SET valid_until = %s WHERE id = %s",
            (last_day, parse_id("quo", quote["id"])),
        )
    async with at_work(mailing.run, wake=mailing.wake):
        condition = f"NEW.id = '{key}' AND NEW.state = 'expired'"
        async with poisoned(admin, "UPDATE ON quotes", condition):
            await until(lambda: woken(mailing, admin, key))
            await until(lambda: has_expired(mailing, api, org, 1))
            await until(lambda: has_expired(mailing, api, south, 1))
        await let_go(admin, "quote_expiry")
        await until(lambda: has_expired(mailing, api, org, 2))
        await until(partial(nothing_fails, admin))


async def woken(mailing: Mailing, admin: Connection, key: object) -> bool:
    """Let the loop look once more; whether the quote is set aside."""
    mailing.wake()
    cursor = await admin.execute(
        "SELECT FROM failing_work WHERE kind = 'quote_expiry' AND key = %s AND tries = %s"
        " AND retry_at = 'infinity'",
        (str(key), AT_ONCE.most_tries),
    )
    return cursor.rowcount == 1


async def has_expired(mailing: Mailing, api: RunningApi, org: Organization, count: int) -> bool:
    mailing.wake()
    return events_of(api, org).count("quote.expired") == count
