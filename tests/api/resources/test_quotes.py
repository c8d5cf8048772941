"""Quotes through HTTP: made, sent by mail, and answered on the page of their customer."""

import asyncio
import base64
import io
import re
import struct
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from pypdf import PdfReader

from db.core.connect import Connection, pool
from db.core.ids import new_id
from db.quotes import mailing as quote_mailing
from operations.quotes.evidence import CONSENT_TEXT, CONSENT_VERSION
from operations.quotes.states import QUOTE_STATES
from telemetry.ids import parse_id
from tests.api.mailbox import Mailbox
from tests.api.running import Answer, Client, Organization, RunningApi
from webhooks.mail.mailing import Mailing
from webhooks.mail.senders import SendError
from webhooks.metrics import WebhookMetrics

LINE = {
    "description": "Excavation",
    "quantity_thousandths": 12_500,
    "unit_price_cents": 24_000,
    "discount_basis_points": 500,
    "tax_basis_points": 810,
}
CONSENT = {"name": "Ann Lee", "consent": "yes", "consent_version": CONSENT_VERSION}


@pytest.fixture
def org(api: RunningApi) -> Organization:
    """An organization of one test's own."""
    return api.organization("Quarries")


@pytest.fixture
def mailbox(api: RunningApi, tmp_path: Path) -> Mailbox:
    """Everybody's."""
    return Mailbox(api, tmp_path / "mail")


async def client_of(org: Organization, **more: Any) -> str:
    body = {"name": "Keller Civil Works", "email": f"{new_id().hex}@keller.example"} | more
    return (await org.admin.post("/v1/clients", body)).json["id"]


async def draft(org: Organization, **more: Any) -> dict[str, Any]:
    body = {
        "client_id": more.pop("client_id", None) or await client_of(org),
        "title": "Excavation, lot 4",
        "lines": [LINE],
        "currency": "CHF",
        "valid_until": "2099-04-30",
    }
    answer = await org.dispatcher.post("/v1/quotes", body | more)
    assert answer.status == 201, answer.json
    return answer.json


async def done(org: Organization, quote: dict[str, Any], verb: str, body: Any = None) -> Answer:
    body = {} if verb == "send" and body is None else body
    return await org.dispatcher.post(f"/v1/quotes/{quote['id']}/{verb}", body)


async def read(org: Organization, quote: dict[str, Any]) -> dict[str, Any]:
    return (await org.viewer.get(f"/v1/quotes/{quote['id']}")).json


async def sent(org: Organization, mailbox: Mailbox, **more: Any) -> tuple[dict[str, Any], str]:
    """Make a quote and send it; returns it with the path of its page."""
    quote = await draft(org, **more)
    return await mailed(org, mailbox, quote)


@asynccontextmanager
async def delivering(api: RunningApi) -> AsyncIterator[Connection]:
    """Provide a transaction of the delivering role."""
    async with (
        pool(api.database.url("opsc_deliver"), "test-mail", max_size=1) as connections,
        connections.connection() as conn,
        conn.transaction(),
    ):
        yield conn


async def letters_to(mailbox: Mailbox, address: str) -> list[EmailMessage]:
    return [letter for letter in await mailbox.letters() if letter["To"] == address]


async def mailed(
    org: Organization, mailbox: Mailbox, quote: dict[str, Any]
) -> tuple[dict[str, Any], str]:
    answer = await done(org, quote, "send")
    assert answer.status == 202, answer.json
    assert (answer.json["status"], answer.json["mail_state"]) == ("draft", "queued")
    (letter,) = await letters_to(mailbox, answer.json["sent_to"])
    body = letter.get_body()
    assert body is not None
    found = re.search(r"https://ops\.example\.com(/quotes/opsl_\S+)", body.get_content())
    assert found is not None
    return await read(org, quote), found[1]


async def form(api: RunningApi, path: str, **values: str) -> Answer:
    return await api.anonymous.send("POST", path, data=values)


def events_of(api: RunningApi, org: Organization) -> list[str]:
    statement = "SELECT type FROM events WHERE org_id = %s ORDER BY occurred_at, id"
    return [row[0] for row in api.sql(statement, org.org_id)]


def png(width: int = 4, height: int = 2) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        whole = kind + data
        return struct.pack(">I", len(data)) + whole + struct.pack(">I", zlib.crc32(whole))

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    rows = zlib.compress(b"".join(b"\0" * (width + 1) for _ in range(height)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def data_url(content: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(content).decode()


# Drafts -------------------------------------------------------------------------------------------


async def test_a_draft_has_the_next_number_and_its_sums(org: Organization) -> None:
    first = await draft(org)
    second = await draft(org, lines=[LINE, LINE])
    assert (first["number"], second["number"]) == (1, 2)
    assert (first["label"], first["revision"], first["status"]) == ("Q-1", 1, "draft")
    sums = ("subtotal_cents", "discount_cents", "tax_cents", "total_cents")
    assert [first[name] for name in sums] == [300_000, 15_000, 23_085, 308_085]
    assert [second[name] for name in sums] == [2 * first[name] for name in sums]
    assert first["lines"][0]["net_cents"] == 285_000
    assert await read(org, first) == first


async def test_numbers_are_taken_one_after_the_other(org: Organization) -> None:
    client_id = await client_of(org)
    made = await asyncio.gather(*(draft(org, client_id=client_id) for _ in range(8)))
    assert sorted(each["number"] for each in made) == list(range(1, 9))


async def test_a_number_is_not_used_again(org: Organization) -> None:
    quote = await draft(org)
    assert (await org.dispatcher.delete(f"/v1/quotes/{quote['id']}")).status == 204
    assert (await draft(org))["number"] == 2
    assert (await done(org, quote, "restore")).json["number"] == 1


async def test_a_draft_is_changed_with_its_sums(org: Organization) -> None:
    quote = await draft(org)
    path = f"/v1/quotes/{quote['id']}"
    changed = (await org.dispatcher.patch(path, {"lines": [LINE] * 3, "terms": "30 days"})).json
    assert (changed["total_cents"], changed["terms"]) == (3 * quote["total_cents"], "30 days")


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"lines": []}, "/lines"),
        ({"lines": [LINE] * 201}, "/lines"),
        ({"lines": [LINE | {"unit_price_cents": -1}]}, "/lines/0/unit_price_cents"),
        ({"lines": [LINE | {"quantity_thousandths": 0.5}]}, "/lines/0/quantity_thousandths"),
        ({"lines": [LINE | {"tax_basis_points": 10_001}]}, "/lines/0/tax_basis_points"),
        ({"lines": [{"description": "Much", "quantity_thousandths": 10**9,
                     "unit_price_cents": 10**9}]}, "/lines"),
        ({"currency": "chf"}, "/currency"),
        ({"valid_until": "2026-02-30"}, "/valid_until"),
        ({"total_cents": 1}, "/total_cents"),
        ({"status": "expired", "title": "Both"}, "/status"),
    ],
)  # fmt: skip
async def test_a_bad_field_is_named(
    north: Organization, change: dict[str, Any], pointer: str
) -> None:
    quote = await draft(north)
    answer = await north.dispatcher.patch(f"/v1/quotes/{quote['id']}", change)
    assert answer.status == 422, answer.json
    assert answer.json["errors"][0]["pointer"] == pointer


async def test_a_list_is_filtered(org: Organization, mailbox: Mailbox) -> None:
    other = await client_of(org, name="Other")
    await sent(org, mailbox)
    await draft(org, client_id=other)
    listed = "/v1/quotes"
    cases: list[tuple[dict[str, Any], int]] = [
        ({"status": "draft"}, 1),
        ({"status": "draft,sent"}, 2),
        ({"status": "expired,viewed"}, 0),
        ({"client_id": other}, 1),
        ({"from": "2026-01-01T00:00:00Z"}, 2),
        ({"to": "2026-01-01T00:00:00Z"}, 0),
    ]
    for filters, number in cases:
        answer = (await org.viewer.get(listed, **filters)).json
        assert (answer["total"], len(answer["data"])) == (number, number), filters
    assert (await org.viewer.get(listed, status="lost")).status == 400


async def test_a_client_with_quotes_stays(org: Organization) -> None:
    quote = await draft(org)
    answer = await org.dispatcher.delete(f"/v1/clients/{quote['client_id']}")
    assert (answer.status, answer.json["code"]) == (409, "in_use")


# Sending ------------------------------------------------------------------------------------------


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


# The page of the customer -------------------------------------------------------------------------


async def test_a_customer_sees_and_accepts_a_quote_once(
    api: RunningApi, org: Organization, mailbox: Mailbox
) -> None:
    quote, path = await sent(org, mailbox, title="<b>Pit & pond</b>")
    page = await api.anonymous.get(path)
    assert page.status == 200
    text = page.content.decode()
    assert "&lt;b&gt;Pit &amp; pond&lt;/b&gt;" in text
    assert "<b>" not in text
    assert CONSENT_TEXT in text
    assert "script-src 'self'" in page.headers["Content-Security-Policy"]
    assert page.headers["Cache-Control"] == "no-store"
    assert (await read(org, quote))["status"] == "viewed"
    pdf = await api.anonymous.get(f"{path}/quote.pdf")
    assert pdf.content.startswith(b"%PDF")
    thanks = await form(api, f"{path}/accept", **CONSENT, signature=data_url(png()))
    assert (thanks.status, b"accepted" in thanks.content) == (200, True)
    now = await read(org, quote)
    assert (now["status"], now["decided_by"]) == ("accepted", "Ann Lee")
    entry = now["evidence"][-1]
    assert (entry["kind"], entry["signature"], entry["ip"]) == ("accepted", "drawn", "127.0.0.1")
    assert (entry["consent_text"], entry["consent_version"]) == (CONSENT_TEXT, CONSENT_VERSION)
    checked = (await org.viewer.get(f"/v1/quotes/{quote['id']}/evidence")).json
    assert (checked["is_intact"], checked["faults"]) == (True, [])
    assert base64.b64decode(checked["signature_png_base64"]) == png()
    assert checked["document_sha256"] == entry["document_sha256"]
    assert events_of(api, org) == ["quote.created", "quote.sent", "quote.accepted"]
    for again in (await api.anonymous.get(path), await form(api, f"{path}/accept", **CONSENT)):
        assert (again.status, b"accepted already" in again.content) == (410, True)
    assert (await form(api, f"{path}/decline", name="Ann Lee")).status == 410


async def test_two_acceptances_at_once_make_one(
    api: RunningApi, org: Organization, mailbox: Mailbox
) -> None:
    quote, path = await sent(org, mailbox)
    answers = await asyncio.gather(*(form(api, f"{path}/accept", **CONSENT) for _ in range(5)))
    assert sorted(answer.status for answer in answers) == [200, 410, 410, 410, 410]
    assert [entry["kind"] for entry in (await read(org, quote))["evidence"]] == ["sent", "accepted"]


async def test_a_customer_declines_with_a_reason(
    api: RunningApi, org: Organization, mailbox: Mailbox
) -> None:
    quote, path = await sent(org, mailbox)
    assert (await form(api, f"{path}/decline", name="Ann Lee", reason="Too late.")).status == 200
    now = await read(org, quote)
    assert (now["status"], now["decline_reason"]) == ("declined", "Too late.")
    assert events_of(api, org)[-1] == "quote.declined"
    assert (await api.anonymous.get(path)).status == 410


@pytest.mark.parametrize(
    "fault",
    [
        {"name": " "},
        {"consent": ""},
        {"consent_version": "0"},
        {"signature": "unsaved"},
        {"signature": data_url(b"GIF89a")},
        {"signature": data_url(png()[:-4])},
        {"signature": data_url(png(2001, 1))},
        {"signature": data_url(png() + b"<script>")},
    ],
)
async def test_an_acceptance_that_lacks_something_is_asked_for_again(
    api: RunningApi, org: Organization, mailbox: Mailbox, fault: dict[str, str]
) -> None:
    quote, path = await sent(org, mailbox)
    answer = await form(api, f"{path}/accept", **(CONSENT | fault))
    assert (answer.status, b'class="fault"' in answer.content) == (422, True)
    assert (await read(org, quote))["status"] == "sent"


async def test_other_links_lead_nowhere(
    api: RunningApi, org: Organization, mailbox: Mailbox
) -> None:
    _, path = await sent(org, mailbox)
    for wrong in (path[:-1], f"{path}x", "/quotes/opsl_guess", "/quotes/" + "x" * 3000):
        assert (await api.anonymous.get(wrong)).status == 404, wrong
        assert (await form(api, f"{wrong}/accept", **CONSENT)).status == 404
        assert (await api.anonymous.get(f"{wrong}/quote.pdf")).status == 404


async def test_a_link_ends_with_the_last_day(
    api: RunningApi, org: Organization, mailbox: Mailbox
) -> None:
    quote, path = await sent(org, mailbox)
    api.sql("ALTER TABLE quotes DISABLE TRIGGER content")
    api.sql("UPDATE quotes SET valid_until = '2020-01-01' WHERE org_id = %s", org.org_id)
    api.sql("ALTER TABLE quotes ENABLE TRIGGER content")
    for answer in (
        await api.anonymous.get(path),
        await form(api, f"{path}/accept", **CONSENT),
        await api.anonymous.get(f"{path}/quote.pdf"),
    ):
        assert (answer.status, b"has expired" in answer.content) == (410, True)
    async with delivering(api) as conn:
        assert await quote_mailing.expire(conn, limit=100) >= 1
    assert (await read(org, quote))["status"] == "expired"
    assert events_of(api, org)[-1] == "quote.expired"


async def test_a_link_is_not_used_without_end(
    api: RunningApi, org: Organization, mailbox: Mailbox
) -> None:
    _, path = await sent(org, mailbox)
    statuses: list[int] = []
    while statuses[-1:] != [429] and len(statuses) < 600:
        statuses.append((await api.anonymous.get(f"{path}/quote.pdf")).status)
    assert len(statuses) > 60
    assert statuses == [200] * (len(statuses) - 1) + [429]
    answer = await api.anonymous.get(path)
    assert (answer.status, b"opened too often" in answer.content) == (429, True)
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert int(answer.headers["Retry-After"]) >= 1
    assert "r=0" in answer.headers["RateLimit"]


async def test_every_problem_of_the_page_is_a_page_in_plain_words(
    api: RunningApi, org: Organization, mailbox: Mailbox
) -> None:
    quote, path = await sent(org, mailbox)
    accept = f"{path}/accept"
    large = {"reason": "x" * 300_001}
    for answer, status, says in (
        (await api.anonymous.get(path, utm_source="letter"), 400, b"Something was added"),
        (await api.anonymous.send("POST", accept, json={"name": "Ann"}), 415, b"not be read"),
        (await form(api, accept, **dict.fromkeys(map(str, range(11)), "x")), 400, b"not be read"),
        (await form(api, accept, **large), 413, b"not be read"),
    ):
        assert (answer.status, says in answer.content) == (status, True), answer.content
        assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
        assert "script-src 'self'" in answer.headers["Content-Security-Policy"]
    assert (await read(org, quote))["status"] == "sent"


async def test_the_address_of_an_answer_leads_back_to_the_page(
    api: RunningApi, org: Organization, mailbox: Mailbox
) -> None:
    _, path = await sent(org, mailbox)
    for answer in ("accept", "decline"):
        page = await api.anonymous.send("GET", f"{path}/{answer}", allow_redirects=False)
        assert (page.status, page.headers["Location"]) == (303, path)


# Revisions ----------------------------------------------------------------------------------------


async def test_a_revision_supersedes_the_one_before_when_it_is_sent(
    api: RunningApi, org: Organization, mailbox: Mailbox
) -> None:
    first, path = await sent(org, mailbox)
    answer = await done(org, first, "revise")
    assert answer.status == 201, answer.json
    second = answer.json
    assert (second["label"], second["status"]) == ("Q-1 revision 2", "draft")
    assert (second["lines"], second["evidence"]) == (first["lines"], [])
    assert (await api.anonymous.get(path)).status == 200
    again = await done(org, first, "revise")
    assert (again.status, again.json["code"]) == (409, "not_newest")
    _, new_path = await mailed(org, mailbox, second)
    assert (await read(org, first))["status"] == "superseded"
    for closed in (await api.anonymous.get(path), await form(api, f"{path}/accept", **CONSENT)):
        assert (closed.status, b"later revision" in closed.content) == (410, True)
    assert (await form(api, f"{new_path}/accept", **CONSENT)).status == 200


async def test_nothing_is_accepted_while_a_revision_is_on_its_way(
    api: RunningApi, org: Organization, mailbox: Mailbox
) -> None:
    first, path = await sent(org, mailbox)
    second = (await done(org, first, "revise")).json
    await done(org, second, "send")
    assert (await form(api, f"{path}/accept", **CONSENT)).status == 410
    by_hand = {"name": "Ann", "reason": "By phone."}
    refused = await done(org, first, "accept", by_hand)
    assert (refused.status, refused.json["code"]) == (409, "revision_on_its_way")
    await mailbox.letters()


async def test_no_revision_is_sent_after_an_acceptance(
    org: Organization, mailbox: Mailbox, api: RunningApi
) -> None:
    first, path = await sent(org, mailbox)
    second = (await done(org, first, "revise")).json
    assert (await form(api, f"{path}/accept", **CONSENT)).status == 200
    answer = await done(org, second, "send")
    assert (answer.status, answer.json["code"]) == (409, "already_accepted")


async def test_a_deleted_revision_makes_room_for_the_next_number_of_revision(
    org: Organization, mailbox: Mailbox
) -> None:
    first, _ = await sent(org, mailbox)
    second = (await done(org, first, "revise")).json
    assert (await org.dispatcher.delete(f"/v1/quotes/{second['id']}")).status == 204
    third = (await done(org, first, "revise")).json
    assert (third["number"], third["revision"]) == (first["number"], 3)
    await done(org, second, "restore")
    answer = await done(org, second, "send")
    assert (answer.status, answer.json["code"]) == (409, "not_newest")


# By hand, and evidence ----------------------------------------------------------------------------


async def test_a_dispatcher_notes_what_a_customer_said(
    api: RunningApi, org: Organization, mailbox: Mailbox
) -> None:
    quote, _ = await sent(org, mailbox)
    assert (await done(org, quote, "accept", {"name": "Ann"})).status == 422
    answer = await done(org, quote, "accept", {"name": "Ann", "reason": "Signed letter."})
    assert answer.status == 200, answer.json
    entry = answer.json["evidence"][-1]
    assert (entry["kind"], entry["reason"]) == ("accepted_by_hand", "Signed letter.")
    assert entry["user_id"].startswith("usr_")
    assert events_of(api, org)[-1] == "quote.accepted"


@pytest.mark.parametrize(
    ("table", "change"),
    [
        ("quote_documents", "content = set_byte(content, 40, get_byte(content, 40) # 1)"),
        ("quote_documents", "pdf = set_byte(pdf, 40, get_byte(pdf, 40) # 1)"),
        ("quote_evidence", "content = set_byte(content, 30, get_byte(content, 30) # 1)"),
        ("quote_evidence", "signature_png = set_byte(signature_png, 30, 1)"),
    ],
)
async def test_a_changed_byte_is_found(
    api: RunningApi, org: Organization, mailbox: Mailbox, table: str, change: str
) -> None:
    quote, path = await sent(org, mailbox)
    await form(api, f"{path}/accept", **CONSENT, signature=data_url(png()))
    evidence = f"/v1/quotes/{quote['id']}/evidence"
    assert (await org.viewer.get(evidence)).json["is_intact"] is True
    api.sql("ALTER TABLE quote_documents DISABLE TRIGGER content")
    api.sql(f"UPDATE {table} SET {change} WHERE org_id = %s", org.org_id)  # noqa: S608
    api.sql("ALTER TABLE quote_documents ENABLE TRIGGER content")
    checked = (await org.viewer.get(evidence)).json
    assert checked["is_intact"] is False
    assert checked["faults"]


async def test_only_leads_write(org: Organization) -> None:
    quote = await draft(org)
    clients: list[Client] = [org.viewer, org.technician]
    for client in clients:
        assert (await client.get(f"/v1/quotes/{quote['id']}")).status == 200
        for verb in ("send", "revise", "accept", "decline", "expire"):
            answer = await client.post(f"/v1/quotes/{quote['id']}/{verb}", {})
            assert answer.status == 403, (verb, answer.json)
