"""The page on which a customer reads and answers a quote."""

import asyncio
import base64

import pytest
from PIL import Image

from db.quotes import mailing as quote_mailing
from languages.catalogue import say
from operations.quotes.evidence import CONSENT_VERSION
from tests.api.mailbox import Mailbox
from tests.api.photos.pictures import bomb, saved, signature
from tests.api.resources.quoting import (
    CONSENT,
    data_url,
    delivering,
    events_of,
    form,
    png,
    read,
    sent,
)
from tests.api.running import Organization, RunningApi


async def test_a_customer_sees_and_accepts_a_quote_once(
    api: RunningApi, org: Organization, mailbox: Mailbox
) -> None:
    quote, path = await sent(org, mailbox, title="<b>Pit & pond</b>")
    page = await api.anonymous.get(path)
    assert page.status == 200
    text = page.content.decode()
    assert "&lt;b&gt;Pit &amp; pond&lt;/b&gt;" in text
    assert "<b>" not in text
    assert say("en", "consent") in text
    assert "script-src 'self'" in page.headers["Content-Security-Policy"]
    assert page.headers["Cache-Control"] == "no-store"
    assert (await read(org, quote))["status"] == "viewed"
    pdf = await api.anonymous.get(f"{path}/quote.pdf")
    assert pdf.content.startswith(b"%PDF")
    thanks = await form(api, f"{path}/accept", **CONSENT, signature=data_url(png()))
    assert (thanks.status, b"Accepted by Ann Lee" in thanks.content) == (200, True)
    now = await read(org, quote)
    assert (now["status"], now["decided_by"]) == ("accepted", "Ann Lee")
    entry = now["evidence"][-1]
    assert (entry["kind"], entry["signature"], entry["ip"]) == ("accepted", "drawn", "127.0.0.1")
    assert entry["consent_text"] == say("en", "consent")
    assert entry["consent_version"] == CONSENT_VERSION
    checked = (await org.dispatcher.get(f"/v1/quotes/{quote['id']}/evidence")).json
    assert (checked["is_intact"], checked["faults"]) == (True, [])
    assert base64.b64decode(checked["signature_png_base64"]) == png()
    assert checked["document_sha256"] == entry["document_sha256"]
    assert events_of(api, org) == ["quote.created", "quote.sent", "quote.accepted"]
    for again in (await api.anonymous.get(path), await form(api, f"{path}/accept", **CONSENT)):
        assert (again.status, again.content) == (200, thanks.content)
    late = await form(api, f"{path}/decline", name="Ann Lee")
    assert (late.status, b"accepted already" in late.content) == (410, True)
    assert await read(org, quote) == now


async def test_two_acceptances_at_once_make_one(
    api: RunningApi, org: Organization, mailbox: Mailbox
) -> None:
    quote, path = await sent(org, mailbox)
    answers = await asyncio.gather(*(form(api, f"{path}/accept", **CONSENT) for _ in range(5)))
    shown = {(answer.status, b"Accepted by" in answer.content) for answer in answers}
    assert shown == {(200, True)}
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
        {"consent_version": "1"},
        {"signature": "unsaved"},
        {"signature": data_url(b"GIF89a")},
        {"signature": data_url(png()[:-4])},
        {"signature": data_url(png(2001, 1))},
        {"signature": data_url(png() + b"<script>")},
        {"signature": data_url(bomb(1_999, 1_999))},
        {"signature": data_url(saved(Image.new("RGBA", (600, 160)), "PNG"))},
        {"signature": data_url(saved(Image.new("L", (600, 160), 255), "PNG"))},
        {"signature": data_url(signature()[:300] + signature()[-12:])},
    ],
)
async def test_an_acceptance_that_lacks_something_is_asked_for_again(
    api: RunningApi, org: Organization, mailbox: Mailbox, fault: dict[str, str]
) -> None:
    quote, path = await sent(org, mailbox)
    answer = await form(api, f"{path}/accept", **(CONSENT | fault))
    assert (answer.status, b'class="fault"' in answer.content) == (422, True)
    assert (await read(org, quote))["status"] == "sent"


async def test_only_a_get_that_somebody_waits_for_makes_a_quote_viewed(
    api: RunningApi, org: Organization, mailbox: Mailbox
) -> None:
    quote, path = await sent(org, mailbox)
    assert (await api.anonymous.send("HEAD", path)).status == 200
    for name, purpose in (
        ("Sec-Purpose", "prefetch;prerender"),
        ("Purpose", "prefetch"),
        ("X-Purpose", "preview"),
        ("X-Moz", "prefetch"),
    ):
        ahead = await api.anonymous.get(path, {name: purpose})
        assert (ahead.status, b"when you open it" in ahead.content) == (503, True)
        assert ahead.headers["Cache-Control"] == "no-store"
    assert (await api.anonymous.get(f"{path}/quote.pdf")).status == 200
    now = await read(org, quote)
    assert (now["status"], len(now["evidence"])) == ("sent", 1)
    assert (await api.anonymous.get(path)).status == 200
    now = await read(org, quote)
    assert (now["status"], len(now["evidence"])) == ("viewed", 2)


async def test_other_links_lead_nowhere(
    api: RunningApi, org: Organization, mailbox: Mailbox
) -> None:
    _, path = await sent(org, mailbox)
    for wrong in (path[:-1], f"{path}x", "/quotes/opsl_guess", "/quotes/" + "x" * 3000):
        assert (await api.anonymous.get(wrong)).status == 404, wrong
        assert (await form(api, f"{wrong}/accept", **CONSENT)).status == 404
        assert (await api.anonymous.get(f"{wrong}/quote.pdf")).status == 404


async def test_a_form_is_not_read_for_a_link_to_nothing(api: RunningApi) -> None:
    """A form that cannot be read would be a 400 or a 415."""
    for path in ("/quotes/opsl_guess/accept", "/quotes/opsl_guess/decline"):
        assert (await form(api, path, **dict.fromkeys(map(str, range(11)), "x"))).status == 404
        assert (await api.anonymous.send("POST", path, json={"name": "Ann"})).status == 404


async def test_a_link_ends_with_the_last_day(
    api: RunningApi, org: Organization, mailbox: Mailbox
) -> None:
    quote, path = await sent(org, mailbox)
    api.sql("UPDATE quotes SET valid_until = '2020-01-01' WHERE org_id = %s", org.org_id)
    for answer in (
        await api.anonymous.get(path),
        await form(api, f"{path}/accept", **CONSENT),
        await api.anonymous.get(f"{path}/quote.pdf"),
    ):
        assert (answer.status, b"has expired" in answer.content) == (410, True)
    async with delivering(api) as conn:
        due = await quote_mailing.due_to_expire(conn, limit=100)
        await quote_mailing.expire(conn, [quote_id for _, quote_id in due])
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
    for _ in range(60):  # on a slow machine the link may be open again
        answer = await api.anonymous.get(path)
        if answer.status == 429:
            break
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
