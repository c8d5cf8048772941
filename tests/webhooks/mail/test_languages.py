"""Letters to users in German, as a mail server gets them."""

from collections.abc import Sequence
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from uuid import UUID

import pytest

from db.core.connect import pool
from db.core.ids import new_id
from tests.servers import DatabaseUnderTest
from tests.webhooks.mail.mail_server import mail_server
from tests.webhooks.poison.guards import guard_of
from tests.webhooks.world import World, world_in
from webhooks.mail.mailing import Mailing
from webhooks.mail.senders import SmtpSender, SmtpServer
from webhooks.metrics import WebhookMetrics


async def _letter(
    database: DatabaseUnderTest, world: World, org_id: UUID, columns: str, values: Sequence[object]
) -> EmailMessage:
    """Return a letter as it came to a mail server. columns, values: of its row."""
    await world.admin.execute(
        f"INSERT INTO mail_outbox (org_id, id, email, {columns})"
        f" VALUES (%s, %s, 'a@example.com'{', %s' * len(values)})",
        (org_id, new_id(), *values),
    )
    async with (
        mail_server() as (postbox, port),
        pool(database.url("opsc_deliver"), "test", max_size=2) as connections,
    ):
        mailing = Mailing(
            connections,
            SmtpSender(SmtpServer.read(f"smtp://127.0.0.1:{port}")),
            guard_of(connections),
            WebhookMetrics(),
            mail_from="OPS <ops@example.com>",
            public_url="https://ops.example.com",
        )
        assert await mailing.send_next()
    ((recipients, content),) = postbox.letters
    assert recipients == ["a@example.com"]
    letter = message_from_bytes(content, policy=policy.default)
    assert isinstance(letter, EmailMessage)
    return letter


async def _german(world: World) -> UUID:
    """Return an organization in English whose admin Jürgen reads German."""
    await world.admin.execute("TRUNCATE mail_outbox, user_links")
    org_id = await world.organization()
    await world.admin.execute(
        "UPDATE users SET name = 'Jürgen', language = 'de' WHERE org_id = %s", (org_id,)
    )
    await world.admin.execute(
        "UPDATE organizations SET name = 'Müller Tiefbau', language = 'en' WHERE org_id = %s",
        (org_id,),
    )
    return org_id


async def test_a_password_reset_is_german(database: DatabaseUnderTest) -> None:
    async with world_in(database) as world:
        org_id = await _german(world)
        letter = await _letter(database, world, org_id, "purpose", ["password_reset"])
    assert letter["Subject"] == "Ein neues Passwort für Müller Tiefbau"
    hello, beginning, link, end = letter.get_content().strip().split("\r\n\r\n")
    assert hello == "Guten Tag Jürgen,"
    assert beginning.startswith("Jemand, vermutlich Sie selbst,")
    assert link.startswith("https://ops.example.com/password-reset#token=opsl_")
    assert end.endswith("Ihr Passwort bleibt, wie es ist.")


@pytest.mark.parametrize(
    ("reason", "says"),
    [
        ("failures", "Sie hat lange nichts angenommen."),
        ("gone", "Sie hat mit 410 geantwortet: Es gibt sie nicht mehr."),
        ("backlog", "Zu viele Sendungen warteten auf sie."),
        ("user", "Ein Benutzer hat sie abgeschaltet."),
    ],
)
async def test_what_is_said_of_a_disabled_endpoint_is_german(
    database: DatabaseUnderTest, reason: str, says: str
) -> None:
    async with world_in(database) as world:
        org_id = await _german(world)
        endpoint = await world.endpoint(org_id, "https://hooks.example.com/")
        await world.change(
            endpoint,
            state="disabled",
            disabled_reason=reason,
            disabled_at=datetime.now(UTC),
            description="ans ERP",
        )
        columns = "purpose, endpoint_id"
        letter = await _letter(database, world, org_id, columns, ["endpoint_disabled", endpoint.id])
    assert letter["Subject"] == "Eine Webhook-Adresse von Müller Tiefbau wurde abgeschaltet"
    text = letter.get_content()
    assert " („ans ERP“) von Müller Tiefbau wurde abgeschaltet: " + says in text
    assert '{"state": "active"}' in text
