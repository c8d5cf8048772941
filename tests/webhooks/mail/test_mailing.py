"""Letters that wait are sent, whatever dies meanwhile, or given up in the end."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from email.message import EmailMessage
from uuid import UUID

import pytest
import pytest_asyncio

from db.core.connect import Pool, pool
from db.core.ids import new_id
from tests.servers import DatabaseUnderTest
from tests.waiting import PATIENCE_S, until
from tests.webhooks.poison.guards import guard_of
from tests.webhooks.world import World, world_in
from webhooks.mail.mailing import Mailing
from webhooks.mail.senders import SendError
from webhooks.metrics import WebhookMetrics


@dataclass
class _Sender:
    """A sender that takes letters, or does not."""

    sent: list[EmailMessage] = field(default_factory=list)
    trouble: BaseException | None = None
    hangs: bool = False

    async def send(self, letter: EmailMessage) -> None:
        self.sent.append(letter)
        if self.hangs:
            await asyncio.Event().wait()
        if self.trouble is not None:
            raise self.trouble


@pytest_asyncio.fixture
async def world(database: DatabaseUnderTest) -> AsyncIterator[World]:
    """Nothing waits."""
    async with world_in(database) as world:
        await world.admin.execute("TRUNCATE mail_outbox, user_links")
        yield world


@pytest_asyncio.fixture
async def connections(database: DatabaseUnderTest) -> AsyncIterator[Pool]:
    """The connections of the delivering role."""
    async with pool(database.url("opsc_deliver"), "test", max_size=4) as opened:
        yield opened


@pytest.fixture
def sender() -> _Sender:
    """One that takes all."""
    return _Sender()


@pytest.fixture
def mailing(connections: Pool, sender: _Sender) -> Mailing:
    """The loop, one step at a time."""
    return Mailing(
        connections,
        sender,
        guard_of(connections),
        WebhookMetrics(),
        mail_from="OPS <ops@example.com>",
        public_url="https://ops.example.com",
    )


async def _waiting(world: World, email: str = "a@example.com", name: str | None = None) -> UUID:
    """Ask for a password reset of the organization's admin."""
    org_id = await world.organization()
    await world.admin.execute("UPDATE users SET name = %s WHERE org_id = %s", (name, org_id))
    await world.admin.execute(
        "INSERT INTO mail_outbox (org_id, id, purpose, email) VALUES (%s, %s, %s, %s)",
        (org_id, new_id(), "password_reset", email),
    )
    return org_id


async def _rows(world: World, org_id: UUID) -> list[tuple[int, bool]]:
    columns = "attempts, gave_up_at IS NOT NULL"
    return await world.rows("mail_outbox", columns, "id", org_id)


async def _make_due(world: World) -> None:
    await world.admin.execute("UPDATE mail_outbox SET next_attempt_at = now()")


async def test_a_letter_is_sent_and_its_row_is_gone(
    world: World, mailing: Mailing, sender: _Sender
) -> None:
    org_id = await _waiting(world, name="Anna")
    assert await mailing.send_next()
    assert not await mailing.send_next()
    (letter,) = sender.sent
    assert (letter["To"], letter["From"]) == ("a@example.com", "OPS <ops@example.com>")
    assert letter.get_content().startswith("Hello Anna,\n")
    assert "https://ops.example.com/password-reset#token=opsl_" in letter.get_content()
    assert await _rows(world, org_id) == []


async def test_a_letter_that_nobody_wants_is_dropped(
    world: World, mailing: Mailing, sender: _Sender
) -> None:
    org_id = await _waiting(world, "nobody@example.com")
    assert await mailing.send_next()
    assert (sender.sent, await _rows(world, org_id)) == ([], [])


async def test_what_fails_is_tried_again_later_and_given_up_in_the_end(
    world: World, mailing: Mailing, sender: _Sender
) -> None:
    org_id = await _waiting(world)
    sender.trouble = SendError("away", is_final=False)
    assert await mailing.send_next()
    assert not await mailing.send_next()
    for attempt in range(1, 8):
        assert await _rows(world, org_id) == [(attempt, False)]
        await _make_due(world)
        assert await mailing.send_next()
    assert await _rows(world, org_id) == [(8, True)]
    await _make_due(world)
    assert not await mailing.send_next()


async def test_what_can_never_be_sent_is_given_up_at_once(
    world: World, mailing: Mailing, sender: _Sender
) -> None:
    org_id = await _waiting(world)
    sender.trouble = SendError("no such mailbox", is_final=True)
    assert await mailing.send_next()
    assert await _rows(world, org_id) == [(1, True)]


async def test_an_address_that_is_none_holds_nobody_up(
    world: World, mailing: Mailing, sender: _Sender
) -> None:
    bad = await _waiting(world, "a, b@example.com")
    await world.admin.execute(
        "UPDATE users SET email = 'a, b@example.com' WHERE org_id = %s", (bad,)
    )
    await _waiting(world)
    while await mailing.send_next():
        pass
    assert [letter["To"] for letter in sender.sent] == ["a@example.com"]
    assert await _rows(world, bad) == [(1, True)]


async def test_who_dies_after_sending_leaves_the_letter_to_be_sent_again(
    world: World, mailing: Mailing, sender: _Sender
) -> None:
    org_id = await _waiting(world)
    sender.trouble = asyncio.CancelledError()
    with pytest.raises(asyncio.CancelledError):
        await mailing.send_next()
    sender.trouble = None
    assert not await mailing.send_next()
    await _make_due(world)
    assert await mailing.send_next()
    assert len(sender.sent) == 2
    assert await _rows(world, org_id) == []


async def test_two_processes_send_a_letter_once(
    world: World, mailing: Mailing, sender: _Sender
) -> None:
    for _ in range(6):
        await _waiting(world)
    await asyncio.gather(*(mailing.send_next() for _ in range(12)))
    assert len(sender.sent) == 6


async def test_organizations_take_turns_and_quotes_come_last(
    world: World, mailing: Mailing, sender: _Sender
) -> None:
    many = await _waiting(world, name="Many")
    await world.admin.execute(
        """
        INSERT INTO mail_outbox (org_id, id, purpose, email, quote_id, next_attempt_at)
        VALUES (%(org)s, gen_random_uuid(), 'quote', 'b@example.com', gen_random_uuid(),
                now() - interval '1 hour'),
               (%(org)s, gen_random_uuid(), 'password_reset', 'a@example.com', NULL, now()),
               (%(org)s, gen_random_uuid(), 'password_reset', 'a@example.com', NULL, now())
        """,
        {"org": many},
    )
    few = await _waiting(world, name="Few")
    for _ in range(2):
        await mailing.send_next()
    assert len(await _rows(world, many)) == 3
    assert await _rows(world, few) == []
    for _ in range(2):
        await mailing.send_next()
    assert len(sender.sent) == 4
    assert await world.rows("mail_outbox", "purpose", "id", many) == [("quote",)]


async def test_what_is_not_taken_in_time_is_tried_again(
    world: World, mailing: Mailing, sender: _Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    org_id = await _waiting(world)
    monkeypatch.setattr("webhooks.mail.mailing._SENDING_S", 0.01)
    sender.hangs = True
    async with asyncio.timeout(PATIENCE_S):
        assert await mailing.send_next()
    assert await _rows(world, org_id) == [(1, False)]
    assert not await mailing.send_next()


async def test_a_name_of_several_lines_puts_no_header_into_a_letter(
    world: World, mailing: Mailing, sender: _Sender
) -> None:
    org_id = await _waiting(world)
    await world.admin.execute(
        "UPDATE organizations SET name = %s WHERE org_id = %s", ("X\r\nBcc: x@example.com", org_id)
    )
    await mailing.send_next()
    (letter,) = sender.sent
    assert letter["Bcc"] is None
    assert letter["Subject"] == "A new password for X Bcc: x@example.com"


async def test_what_has_expired_is_taken_away(world: World, mailing: Mailing) -> None:
    org_id = await world.organization()
    ((user_id,),) = await world.rows("users", "id", "id", org_id)
    await world.admin.execute(
        "INSERT INTO sign_ins (org_id, id, user_id, kind, expires_at, ended_at)"
        " VALUES (%s, %s, %s, 'token', now() + interval '1 day', now() - interval '2 days')",
        (org_id, new_id(), user_id),
    )
    for days in (-2, 2):
        sign_in_id = new_id()
        await world.admin.execute(
            "INSERT INTO sign_ins (org_id, id, user_id, kind, expires_at)"
            " VALUES (%s, %s, %s, 'token', now() + %s * interval '1 day')",
            (org_id, sign_in_id, user_id, days),
        )
        for number in range(3):
            await world.admin.execute(
                "INSERT INTO refresh_tokens (org_id, token_hash, sign_in_id, expires_at)"
                " VALUES (%s, sha256(%s), %s, now() + %s * interval '1 day')",
                (org_id, sign_in_id.bytes + bytes([number]), sign_in_id, days),
            )
        await world.admin.execute(
            "INSERT INTO user_links (org_id, token_hash, user_id, purpose, expires_at)"
            " VALUES (%s, sha256(%s), %s, 'invitation', now() + %s * interval '1 day')",
            (org_id, sign_in_id.bytes, user_id, days),
        )
    stop = asyncio.Event()
    running = asyncio.create_task(mailing.run(stop))

    async def is_tidy() -> bool:
        return len(await world.rows("sign_ins", "id", "id", org_id)) == 1

    await until(is_tidy)
    stop.set()
    await running
    assert len(await world.rows("refresh_tokens", "token_hash", "token_hash", org_id)) == 3
    assert len(await world.rows("user_links", "token_hash", "token_hash", org_id)) == 1
