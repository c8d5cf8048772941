"""Quotes sent by mail."""

import io

import pytest
from pypdf import PdfReader

from db.core.connect import pool
from db.quotes import mailing as quote_mailing
from operations.quotes.states import QUOTE_STATES
from telemetry.ids import parse_id
from tests.api.mailbox import Mailbox
from tests.api.resources.quoting import (
    client_of,
    delivering,
    done,
    draft,
    events_of,
    letters_to,
    mailed,
    read,
    sent,
)
from tests.api.running import Organization, RunningApi
from webhooks.mail.mailing import Mailing
from webhooks.mail.senders import SendError
from webhooks.metrics import WebhookMetrics


async def test_a_quote_is_sent_when_the_mail_server_took_its_letter(
    api: RunningApi, org: Organization, mailbox: Mailbox
) -> None:
    quote = await draft(org)
    queued = (await done(org, quote, "send", {"email": "ceo@keller.example"})).json
    assert (queued["status"], queued["sent_to"]) == ("draft", "ceo@keller.example")
    assert events_of(api, org) == ["quote.created"]
    for refused in (
        await done(org, quote, "send"),
        await org.dispatcher.patch(f"/v1/quotes/{quote['id']}", {"title": "Another"}),
    ):
        assert (refused.status, refused.json["code"]) == (409, "being_sent")
    (letter,) = await letters_to(mailbox, "ceo@keller.example")
    assert letter["Subject"] == "Quote Q-1 from Quarries"
    (attached,) = letter.iter_attachments()
    content = attached.get_content()
    assert "Excavation, lot 4" in PdfReader(io.BytesIO(content)).pages[0].extract_text()
    now = await read(org, quote)
    assert (now["status"], now["mail_state"], now["send_error"]) == ("sent", "sent", None)
    assert [entry["kind"] for entry in now["evidence"]] == ["sent"]
    assert (await org.viewer.get(f"/v1/quotes/{quote['id']}/pdf")).content == content
    assert events_of(api, org) == ["quote.created", "quote.sent"]


async def test_a_letter_that_fails_is_shown_and_its_quote_can_be_sent_again(
    api: RunningApi, org: Organization, mailbox: Mailbox
) -> None:
    class _Away:
        """A mail server that takes nothing."""

        def __init__(self, *, is_final: bool) -> None:
            self.is_final = is_final

        async def send(self, letter: object) -> None:
            raise SendError("550 no such mailbox", is_final=self.is_final)

    async def try_once(*, is_final: bool) -> None:
        async with pool(api.database.url("opsc_deliver"), "test-mail", max_size=1) as connections:
            sender = _Away(is_final=is_final)
            mailing = Mailing(
                connections, sender, WebhookMetrics(), mail_from="a@b.c", public_url="https://b.c"
            )
            while await mailing.send_next():
                pass

    quote = await draft(org)
    await done(org, quote, "send")
    await try_once(is_final=False)
    waiting = await read(org, quote)
    assert (waiting["mail_state"], waiting["send_error"]) == ("queued", "550 no such mailbox")
    api.sql("UPDATE mail_outbox SET next_attempt_at = now() WHERE org_id = %s", org.org_id)
    await try_once(is_final=True)
    failed = await read(org, quote)
    assert (failed["status"], failed["mail_state"]) == ("draft", "failed")
    assert events_of(api, org) == ["quote.created"]
    now, _ = await mailed(org, mailbox, quote)
    assert (now["status"], now["send_error"]) == ("sent", None)


async def test_a_letter_that_is_sent_twice_makes_one_event(
    api: RunningApi, org: Organization, mailbox: Mailbox
) -> None:
    quote, _ = await sent(org, mailbox)
    quote_id = parse_id("quo", quote["id"])
    async with delivering(api) as conn:
        await quote_mailing.was_taken(conn, org.org_id, quote_id)
    assert events_of(api, org) == ["quote.created", "quote.sent"]
    assert await read(org, quote) == quote


async def test_what_was_sent_does_not_change(org: Organization, mailbox: Mailbox) -> None:
    quote, _ = await sent(org, mailbox)
    answer = await org.dispatcher.patch(f"/v1/quotes/{quote['id']}", {"title": "Another"})
    assert (answer.status, answer.json["code"]) == (409, "illegal_move")
    assert (await org.dispatcher.delete(f"/v1/quotes/{quote['id']}")).status == 409


async def test_a_quote_needs_an_address_and_a_day_to_come(org: Organization) -> None:
    nobody = await client_of(org, email=None)
    answer = await done(org, await draft(org, client_id=nobody), "send")
    assert (answer.status, answer.json["errors"][0]["pointer"]) == (422, "/email")
    answer = await done(org, await draft(org, valid_until="2020-01-01"), "send")
    assert (answer.status, answer.json["code"]) == (409, "quote_over")


@pytest.mark.parametrize("status", QUOTE_STATES)
async def test_a_status_is_not_forged(org: Organization, mailbox: Mailbox, status: str) -> None:
    quote, _ = await sent(org, mailbox)
    answer = await org.dispatcher.patch(f"/v1/quotes/{quote['id']}", {"status": status})
    expected = {"sent": 200, "expired": 200, "viewed": 403, "superseded": 403}
    assert answer.status == expected.get(status, 409), answer.json
    now = (await read(org, quote))["status"]
    assert now == ("expired" if status == "expired" else "sent")
