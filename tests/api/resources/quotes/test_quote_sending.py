"""Quotes sent by mail."""

import asyncio
import io
from collections.abc import Awaitable, Callable, Iterator, Mapping
from datetime import date
from email.message import EmailMessage
from typing import Any

import pytest
from psycopg import AsyncCursor
from pypdf import PdfReader

from api.documents.quote_pdf import QuotePrinter
from api.documents.timesheet import DocumentError
from db.core.connect import Connection, conninfo, pool
from db.core.ids import new_id
from db.quotes import mailing as quote_mailing
from db.resources.quotas import A_DAY, ATTACHMENT_BYTES, LETTERS_A_DAY
from operations.quotes.document import QuoteDocument, document_line
from operations.quotes.states import QUOTE_STATES
from operations.quotes.sums import QuoteLine, quote_sums
from telemetry.ids import parse_id
from tests.api.mailbox import Mailbox
from tests.api.resources.quoting import (
    LINE,
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
from tests.api.running import Answer, Organization, RunningApi
from tests.webhooks.poison.guards import guard_of
from webhooks.mail.mailing import Mailing
from webhooks.mail.senders import MailSender, SendError
from webhooks.metrics import WebhookMetrics


class _Away:
    """A mail server that takes nothing."""

    def __init__(self, *, is_final: bool) -> None:
        self._is_final = is_final

    async def send(self, letter: EmailMessage) -> None:
        raise SendError("550 no such mailbox", is_final=self._is_final)


class _Sender:
    """A mail server that does something while it takes a letter."""

    def __init__(self, meanwhile: Callable[[], Awaitable[Any]] | None = None) -> None:
        self.taken: list[EmailMessage] = []
        self.meanwhile = meanwhile

    async def send(self, letter: EmailMessage) -> None:
        if self.meanwhile is not None:
            await self.meanwhile()
        self.taken.append(letter)


async def _mail(api: RunningApi, sender: MailSender) -> None:
    """Send what is due."""
    async with pool(api.database.url("opsc_deliver"), "test-mail", max_size=1) as connections:
        mailing = Mailing(
            connections,
            sender,
            guard_of(connections),
            WebhookMetrics(),
            mail_from="a@b.c",
            public_url="https://b.c",
        )
        while await mailing.send_next():
            pass


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
    quote = await draft(org)
    await done(org, quote, "send")
    await _mail(api, _Away(is_final=False))
    waiting = await read(org, quote)
    assert (waiting["mail_state"], waiting["send_error"]) == ("queued", "550 no such mailbox")
    api.sql("UPDATE mail_outbox SET next_attempt_at = now() WHERE org_id = %s", org.org_id)
    await _mail(api, _Away(is_final=True))
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


# Letters that wait --------------------------------------------------------------------------------


async def test_a_letter_that_waits_can_be_withdrawn_and_goes_elsewhere(
    api: RunningApi, org: Organization, mailbox: Mailbox
) -> None:
    quote = await draft(org)
    wrong = {"email": f"{new_id().hex}@wrong.example"}
    await done(org, quote, "send", wrong)
    await _mail(api, _Away(is_final=False))
    withdrawn = await done(org, quote, "withdraw")
    assert (withdrawn.status, withdrawn.json["status"]) == (200, "draft")
    assert (withdrawn.json["mail_state"], withdrawn.json["send_error"]) == ("withdrawn", None)
    again = await done(org, quote, "withdraw")
    assert (again.status, again.json["code"]) == (409, "not_queued")
    changed = await org.dispatcher.patch(f"/v1/quotes/{quote['id']}", {"title": "Lot 5"})
    assert changed.status == 200
    api.sql("UPDATE mail_outbox SET next_attempt_at = now() WHERE org_id = %s", org.org_id)
    assert await letters_to(mailbox, wrong["email"]) == []
    now, _ = await mailed(org, mailbox, quote)
    assert (now["status"], now["mail_state"], now["title"]) == ("sent", "sent", "Lot 5")
    assert (await done(org, quote, "withdraw")).json["code"] == "not_queued"
    assert events_of(api, org) == ["quote.created", "quote.sent"]
    checked = (await org.dispatcher.get(f"/v1/quotes/{quote['id']}/evidence")).json
    assert checked["is_intact"], checked["faults"]


async def test_a_letter_that_is_being_sent_is_not_withdrawn(
    api: RunningApi, org: Organization
) -> None:
    quote = await draft(org)
    await done(org, quote, "send")
    answers: list[Answer] = []

    async def withdraw() -> None:
        answers.append(await done(org, quote, "withdraw"))

    await _mail(api, _Sender(withdraw))
    assert [(each.status, each.json["code"]) for each in answers] == [(409, "being_sent")]
    assert (await read(org, quote))["status"] == "sent"


async def test_who_claimed_a_letter_and_died_leaves_it_to_be_withdrawn(
    api: RunningApi, org: Organization
) -> None:
    quote = await draft(org)
    await done(org, quote, "send")

    async def die() -> None:
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await _mail(api, _Sender(die))
    assert (await done(org, quote, "withdraw")).status == 409
    api.sql("UPDATE mail_outbox SET claimed_until = now() WHERE org_id = %s", org.org_id)
    assert (await done(org, quote, "withdraw")).json["mail_state"] == "withdrawn"


async def test_what_is_marked_late_marks_no_other_letter(
    api: RunningApi, org: Organization
) -> None:
    """As by a process that stood still for longer than its claim."""
    quote = await draft(org)
    await done(org, quote, "send")

    async def withdraw_and_send_anew() -> None:
        api.sql("UPDATE mail_outbox SET claimed_until = now() WHERE org_id = %s", org.org_id)
        assert (await done(org, quote, "withdraw")).status == 200
        await org.dispatcher.patch(f"/v1/quotes/{quote['id']}", {"title": "Lot 5"})
        assert (await done(org, quote, "send")).status == 202
        sender.meanwhile = look

    async def look() -> None:
        seen.append((await read(org, quote))["status"])

    seen: list[str] = []
    sender = _Sender(withdraw_and_send_anew)
    await _mail(api, sender)
    assert (len(sender.taken), seen) == (2, ["draft"])
    assert (await read(org, quote))["status"] == "sent"
    checked = (await org.dispatcher.get(f"/v1/quotes/{quote['id']}/evidence")).json
    assert checked["is_intact"], checked["faults"]


async def test_a_quote_whose_last_day_is_over_is_not_mailed_any_more(
    api: RunningApi, org: Organization
) -> None:
    quote = await draft(org)
    await done(org, quote, "send")
    api.sql("UPDATE quotes SET valid_until = '2020-01-01' WHERE org_id = %s", org.org_id)
    await _mail(api, sender := _Sender())
    now = await read(org, quote)
    assert (sender.taken, now["status"], now["mail_state"]) == ([], "draft", "failed")
    assert now["send_error"] == "Not sent: the quote was valid until 2020-01-01."
    assert api.sql("SELECT FROM quote_links WHERE org_id = %s", org.org_id) == []


async def test_a_revision_that_was_overtaken_is_not_mailed_any_more(
    api: RunningApi, org: Organization, mailbox: Mailbox
) -> None:
    first, _ = await sent(org, mailbox)
    second = (await done(org, first, "revise")).json
    await org.dispatcher.delete(f"/v1/quotes/{second['id']}")
    third = (await done(org, first, "revise")).json
    await done(org, second, "restore")
    await org.dispatcher.delete(f"/v1/quotes/{third['id']}")
    assert (await done(org, second, "send")).status == 202
    await done(org, third, "restore")
    assert (await done(org, third, "send")).status == 202
    await _mail(api, sender := _Sender())
    assert [letter["Subject"] for letter in sender.taken] == ["Quote Q-1 revision 3 from Quarries"]
    now = await read(org, second)
    assert (now["status"], now["mail_state"]) == ("draft", "failed")
    assert now["send_error"] == "Not sent: there is a later revision of the quote."
    assert (await read(org, third))["status"] == "sent"


async def test_an_organization_asks_for_a_bounded_number_of_letters_a_day(
    api: RunningApi, org: Organization, north: Organization, mailbox: Mailbox
) -> None:
    limit = A_DAY[LETTERS_A_DAY]["unlimited"]
    day = "(now() AT TIME ZONE 'UTC')::date"
    api.sql(f"INSERT INTO letter_counts VALUES (%s, {day}, %s)", org.org_id, limit - 1)
    quote = await draft(org)
    assert (await done(org, quote, "send")).status == 202
    other = await draft(org)
    for refused in (
        await done(org, other, "send"),
        await org.admin.post("/v1/users", {"email": f"{new_id()}@b.c", "role": "viewer"}),
    ):
        told = {name: refused.json.get(name) for name in ("code", "quota", "limit", "used")}
        expected = {"code": "quota_exceeded", "quota": LETTERS_A_DAY}
        assert (refused.status, told) == (403, expected | {"limit": limit, "used": limit})
    assert (await read(org, other))["mail_state"] is None
    assert (await done(north, await draft(north), "send")).status == 202
    api.sql("UPDATE letter_counts SET day = day - 1 WHERE org_id = %s", org.org_id)
    assert (await done(org, other, "send")).status == 202
    rows = (await org.viewer.get("/v1/organization/usage")).json["quotas"]
    assert {"quota": LETTERS_A_DAY, "limit": limit, "used": 1} in rows
    await mailbox.letters()


class _Planned(AsyncCursor[Any]):
    """A cursor that keeps the scans of each statement: table, index and its condition."""

    scans: list[tuple[str, str, str]]

    async def execute(self, query: Any, params: Any = None, **options: Any) -> "_Planned":
        text = query if isinstance(query, str) else query.decode()
        async with AsyncCursor(self.connection) as cursor:
            await cursor.execute(f"EXPLAIN (FORMAT JSON) {text}".encode(), params)
            row = await cursor.fetchone()
        assert row is not None
        type(self).scans += _scans(row[0][0]["Plan"])
        return await super().execute(text.encode(), params, **options)


def _scans(plan: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    if "Relation Name" in plan and "Scan" in plan["Node Type"]:
        yield plan["Relation Name"], plan.get("Index Name", ""), plan.get("Index Cond", "")
    for inner in plan.get("Plans", ()):
        yield from _scans(inner)


async def test_the_delivering_role_reads_quotes_by_their_organization(
    api: RunningApi, org: Organization
) -> None:
    quote = await draft(org)
    await done(org, quote, "send")
    quote_id = parse_id("quo", quote["id"])
    url = conninfo(api.database.url("opsc_deliver"), "test")
    _Planned.scans = []
    async with await Connection.connect(url, cursor_factory=_Planned) as conn:
        async with AsyncCursor(conn) as cursor:
            await cursor.execute("SET enable_seqscan = off")
            await cursor.execute("SET enable_bitmapscan = off")
        assert await quote_mailing.letter_of(conn, org.org_id, quote_id) is not None
        await quote_mailing.was_taken(conn, org.org_id, quote_id)
        await conn.rollback()
    tables = ("quotes", "quote_documents", "quote_evidence", "clients", "work_orders")
    found = [scan for scan in _Planned.scans if scan[0] in tables]
    assert {table for table, _, _ in found} >= set(tables[:3])
    for scan in found:
        assert "org_id = " in scan[2], scan


async def test_quotes_expire_in_steps(
    api: RunningApi, org: Organization, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(3):
        await sent(org, mailbox)
    api.sql("UPDATE quotes SET valid_until = '2020-01-01' WHERE org_id = %s", org.org_id)
    monkeypatch.setattr("webhooks.mail.mailing._EXPIRED_TOGETHER", 2)
    stop = asyncio.Event()
    async with pool(api.database.url("opsc_deliver"), "test-mail", max_size=1) as connections:
        mailing = Mailing(
            connections,
            _Sender(),
            guard_of(connections),
            WebhookMetrics(),
            mail_from="a@b.c",
            public_url="https://b.c",
        )
        running = asyncio.create_task(mailing.run(stop))
        while events_of(api, org).count("quote.expired") < 3:  # noqa: ASYNC110  # no event tells
            await asyncio.sleep(0.02)
        stop.set()
        mailing.wake()
        await running
    in_one_transaction = api.sql(
        "SELECT count(*) FROM quotes WHERE org_id = %s AND state = 'expired' GROUP BY xmin::text",
        org.org_id,
    )
    assert sum(count for (count,) in in_one_transaction) == 3
    assert max(in_one_transaction) <= (2,)


# Documents ----------------------------------------------------------------------------------------


async def test_the_document_of_a_quote_counts_as_storage_once(
    api: RunningApi, org: Organization, mailbox: Mailbox
) -> None:
    async def used() -> int:
        rows = (await org.viewer.get("/v1/organization/usage")).json["quotas"]
        return next(row["used"] for row in rows if row["quota"] == ATTACHMENT_BYTES)

    async def kept() -> int:
        lengths = "length(content) + length(pdf) + coalesce(length(logo), 0)"
        statement = f"SELECT sum({lengths}) FROM quote_documents WHERE org_id = %s"
        return api.sql(statement, org.org_id)[0][0]

    quote = await draft(org, notes="x" * 9_000)
    await done(org, quote, "send")
    assert await used() == await kept() > 9_000
    await done(org, quote, "withdraw")
    await org.dispatcher.patch(f"/v1/quotes/{quote['id']}", {"notes": "x"})
    await mailed(org, mailbox, quote)
    assert 1_000 < await used() == await kept()
    limit = api.settings.attachments_quota_bytes
    api.sql("UPDATE attachment_usage SET bytes = %s WHERE org_id = %s", limit - 999, org.org_id)
    other = await draft(org)
    refused = await done(org, other, "send")
    told = {name: refused.json.get(name) for name in ("code", "quota", "limit", "used")}
    expected = {"code": "quota_exceeded", "quota": ATTACHMENT_BYTES, "limit": limit}
    assert (refused.status, told) == (403, expected | {"used": limit - 999})
    assert (await read(org, other))["mail_state"] is None
    assert await used() == limit - 999


async def test_a_quote_of_many_lines_is_not_printed_without_end(org: Organization) -> None:
    blank = await draft(org, notes="Begin.\n" + "\n" * 9_000 + "End.", terms="\n" * 9_000 + "x")
    answer = await org.viewer.get(f"/v1/quotes/{blank['id']}/pdf")
    (page,) = PdfReader(io.BytesIO(answer.content)).pages
    assert "Begin.\nEnd." in page.extract_text()
    line = LINE | {"description": "a\n" * 499}
    long = await draft(org, lines=[line] * 50)
    for refused in (
        await org.viewer.get(f"/v1/quotes/{long['id']}/pdf"),
        await done(org, long, "send"),
    ):
        assert (refused.status, refused.json["code"]) == (409, "document_too_large")
        assert refused.json["detail"].endswith("at most 400,000. Write shorter texts.")


def test_a_pdf_of_too_many_bytes_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    line = QuoteLine("Excavation", 1_000, 100)
    document = QuoteDocument(
        quote_id="quo_01jd8x0k2m4n6p8q0r2s4t6v8w",
        number=1,
        revision=1,
        organization="Keller Tiefbau AG",
        client_name="Frei Immobilien AG",
        client_address=None,
        title="Lot 4",
        currency="CHF",
        issued_on=date(2026, 3, 2),
        valid_until=date(2026, 4, 2),
        timezone="Europe/Zurich",
        lines=(document_line(line),),
        **quote_sums([line])._asdict(),
        terms=None,
        notes=None,
    )
    content = QuotePrinter(uses_system_fonts=False).pdf(document)
    monkeypatch.setattr("api.documents.quote_pdf.MAX_PDF_BYTES", len(content) - 1)
    with pytest.raises(DocumentError, match=f"bytes: there are {len(content):,}; a PDF has at"):
        QuotePrinter(uses_system_fonts=False).pdf(document)
