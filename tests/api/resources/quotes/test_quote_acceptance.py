"""What follows an acceptance: its PDF, its letters, the customer's link, and the event."""

import io
import re
from email.message import EmailMessage
from typing import Any

import pytest
from pypdf import PdfReader

from db.resources.quotas import ATTACHMENT_BYTES
from tests.api.mailbox import Mailbox
from tests.api.photos.pictures import picture, signature
from tests.api.resources.quoting import (
    CONSENT,
    LINE,
    client_of,
    data_url,
    done,
    draft,
    form,
    mailed,
    read,
    sent,
)
from tests.api.resources.test_organization_logo import put_logo
from tests.api.running import Client, Organization, RunningApi


def text_of(pdf: bytes) -> str:
    """Return the text of a PDF on one line."""
    return " ".join("\n".join(p.extract_text() for p in PdfReader(io.BytesIO(pdf)).pages).split())


def pictures_of(pdf: bytes) -> int:
    return len(PdfReader(io.BytesIO(pdf)).pages[0].images)


async def accepted(
    api: RunningApi, org: Organization, mailbox: Mailbox, **answer: str
) -> tuple[dict[str, Any], str]:
    """Return a quote that its customer has accepted, with the path of its page."""
    quote, path = await sent(org, mailbox)
    assert (await form(api, f"{path}/accept", **(CONSENT | answer))).status == 200
    return await read(org, quote), path


async def accepted_pdf(client: Client, quote: dict[str, Any]) -> bytes:
    answer = await client.get(f"/v1/quotes/{quote['id']}/accepted-pdf")
    assert answer.status == 200, answer.content
    assert answer.headers["Content-Type"] == "application/pdf"
    return answer.content


def attached(letter: EmailMessage) -> tuple[str | None, bytes]:
    (part,) = letter.iter_attachments()
    return part.get_filename(), part.get_content()


def words_of(letter: EmailMessage) -> str:
    body = letter.get_body()
    assert body is not None
    return body.get_content()


async def test_the_customer_sees_number_and_total_and_has_the_pdf_of_the_acceptance(
    api: RunningApi, org: Organization, mailbox: Mailbox
) -> None:
    quote, path = await sent(org, mailbox)
    thanks = await form(api, f"{path}/accept", **CONSENT)
    text = thanks.content.decode()
    assert thanks.status == 200
    assert "Accepted by Ann Lee on " in text
    assert "Quote Q-1, total CHF 3,080.85." in text
    assert f'href="{path}/accepted.pdf"' in text
    assert "<form" not in text
    assert (await api.anonymous.get(path)).content == thanks.content
    pdf = await api.anonymous.get(f"{path}/accepted.pdf")
    assert pdf.headers["Content-Type"] == "application/pdf"
    entry = (await read(org, quote))["evidence"][-1]
    words = text_of(pdf.content)
    assert "Accepted by Ann Lee" in words
    (day,) = re.findall(r"Currency CHF Accepted (\d+ \S+ \d{4})(?! \d\d:)", words)
    assert f"On {day} " in words
    assert "by the name, as an electronic signature" in words
    assert entry["consent_text"] in words
    assert entry["document_sha256"] in words.replace(" ", "")
    assert "Total CHF 3,080.85" in words
    assert await accepted_pdf(org.dispatcher, quote) == pdf.content
    assert (await api.anonymous.get(f"{path}/quote.pdf")).status == 200


async def test_a_drawn_signature_is_on_the_pdf_and_both_are_in_the_evidence(
    api: RunningApi, org: Organization, mailbox: Mailbox
) -> None:
    quote, _ = await accepted(api, org, mailbox, signature=data_url(signature()))
    pdf = await accepted_pdf(org.admin, quote)
    assert "by a drawn signature" in text_of(pdf)
    assert pictures_of(pdf) == 1
    entry = quote["evidence"][-1]
    assert (entry["signature"], len(entry["acceptance_pdf_sha256"])) == ("drawn", 64)
    evidence = f"/v1/quotes/{quote['id']}/evidence"
    assert (await org.admin.get(evidence)).json["is_intact"]
    changed = "pdf = set_byte(pdf, 40, get_byte(pdf, 40) # 1)"
    api.sql(f"UPDATE quote_evidence SET {changed} WHERE org_id = %s", org.org_id)
    checked = (await org.admin.get(evidence)).json
    assert checked["faults"] == ["The PDF of the acceptance is not the one of entry 2."]


async def test_customer_and_office_get_the_pdf_by_mail(
    api: RunningApi, org: Organization, mailbox: Mailbox
) -> None:
    await org.admin.patch("/v1/organization", {"email": "office@quarries.example"})
    quote, _ = await accepted(api, org, mailbox)
    letters = {letter["To"]: letter for letter in await mailbox.letters()}
    assert letters.keys() == {quote["sent_to"], "office@quarries.example"}
    pdf = await accepted_pdf(org.dispatcher, quote)
    customer, office = letters[quote["sent_to"]], letters["office@quarries.example"]
    for letter in (customer, office):
        assert attached(letter) == ("Q-1-accepted.pdf", pdf)
        assert "Ann Lee has accepted the quote Q-1" in words_of(letter)
        assert "The total is CHF 3,080.85." in words_of(letter)
    assert (customer["From"], customer["Reply-To"]) == (
        "Quarries <ops@example.com>",
        "office@quarries.example",
    )
    assert (office["From"], office["Reply-To"]) == ("OPS <ops@example.com>", quote["sent_to"])
    assert customer["Subject"] == "Quote Q-1 from Quarries is accepted"
    assert office["Subject"] == "Quote Q-1 is accepted by Ann Lee"
    assert (await read(org, quote))["mail_state"] == "sent"


async def test_without_an_address_of_the_office_each_admin_gets_the_pdf(
    api: RunningApi, org: Organization, mailbox: Mailbox
) -> None:
    quote, _ = await accepted(api, org, mailbox)
    letters = await mailbox.letters()
    assert [letter["To"] for letter in letters].count(org.email) == 1
    assert {letter["To"] for letter in letters} == {org.email, quote["sent_to"]}


async def test_a_letter_with_a_quote_comes_from_the_organization(
    api: RunningApi, org: Organization, mailbox: Mailbox
) -> None:
    for office in (None, "office@quarries.example"):
        await org.admin.patch(
            "/v1/organization", {"name": 'Müller & "Söhne", Bern', "email": office}
        )
        quote = await draft(org)
        await done(org, quote, "send", {"email": "ceo@keller.example"})
        (letter,) = await mailbox.letters()
        (sender,) = letter["From"].addresses
        assert (sender.display_name, sender.addr_spec) == (
            'Müller & "Söhne", Bern',
            "ops@example.com",
        )
        assert letter["Reply-To"] == office


async def test_what_is_noted_by_hand_has_a_pdf_and_no_letters(
    api: RunningApi, org: Organization, mailbox: Mailbox
) -> None:
    quote, path = await sent(org, mailbox)
    body = {"name": "Ann Lee", "reason": "She said so by telephone."}
    assert (await done(org, quote, "accept", body)).status == 200
    words = text_of(await accepted_pdf(org.dispatcher, quote))
    assert "Accepted by Ann Lee" in words
    assert "elsewhere, as a user of the organization has noted" in words
    assert "telephone" not in words
    page = (await api.anonymous.get(path)).content.decode()
    assert "Accepted by Ann Lee on " in page
    assert "A copy" not in page
    assert await mailbox.letters() == []


@pytest.mark.parametrize("how", ["typed", "drawn", "by_hand"])
async def test_the_event_says_how_a_quote_was_accepted(
    api: RunningApi, org: Organization, mailbox: Mailbox, how: str
) -> None:
    quote, path = await sent(org, mailbox)
    if how == "by_hand":
        await done(org, quote, "accept", {"name": "Ann Lee", "reason": "By telephone."})
    else:
        drawn = {"signature": data_url(signature())} if how == "drawn" else {}
        await form(api, f"{path}/accept", **CONSENT, **drawn)
    ((data,),) = api.sql(
        "SELECT data::jsonb FROM events WHERE org_id = %s AND type = 'quote.accepted'", org.org_id
    )
    user_id = (await read(org, quote))["evidence"][-1]["user_id"]
    assert (data["accepted_how"], data["noted_by"]) == (how, user_id)
    assert (user_id is not None) == (how == "by_hand")


async def test_a_refusal_by_hand_says_who_noted_it(
    api: RunningApi, org: Organization, mailbox: Mailbox
) -> None:
    quote, _ = await sent(org, mailbox)
    await done(org, quote, "decline", {"name": "Ann Lee"})
    ((data,),) = api.sql(
        "SELECT data::jsonb FROM events WHERE org_id = %s AND type = 'quote.declined'", org.org_id
    )
    assert data["accepted_how"] is None
    assert data["noted_by"] == (await read(org, quote))["evidence"][-1]["user_id"]


# The customer's link ------------------------------------------------------------------------------


async def test_a_link_shows_the_acceptance_for_ninety_days(
    api: RunningApi, org: Organization, mailbox: Mailbox
) -> None:
    _, path = await accepted(api, org, mailbox)
    shown = (path, f"{path}/quote.pdf", f"{path}/accepted.pdf")
    for days, status in ((89, 200), (91, 410)):
        api.sql(
            "UPDATE quotes SET decided_at = now() - make_interval(days => %s) WHERE org_id = %s",
            days,
            org.org_id,
        )
        assert [(await api.anonymous.get(each)).status for each in shown] == [status] * 3
    over = await form(api, f"{path}/accept", **CONSENT)
    assert (over.status, b"accepted already" in over.content) == (410, True)


async def test_an_admin_ends_a_link(api: RunningApi, org: Organization, mailbox: Mailbox) -> None:
    quote, path = await accepted(api, org, mailbox)
    assert (await done(org, quote, "end-link")).status == 403
    verb = f"/v1/quotes/{quote['id']}/end-link"
    ended = await org.admin.post(verb, None)
    assert ended.status == 200, ended.json
    assert ended.json["link_ended_at"] is not None
    assert (await org.admin.post(verb, None)).json == ended.json
    for each in (path, f"{path}/quote.pdf", f"{path}/accepted.pdf"):
        answer = await api.anonymous.get(each)
        assert (answer.status, b"accepted already" in answer.content) == (410, True)
    assert (await api.anonymous.get(path)).content.count(b"Ann Lee") == 0
    await accepted_pdf(org.dispatcher, quote)
    (who,) = [
        event["changes"]["link_ended_at"]
        for event in (await org.admin.get("/v1/audit-events")).json["data"]
        if "link_ended_at" in (event["changes"] or {})
    ]
    assert who


async def test_a_link_to_what_is_not_accepted_is_not_ended(
    org: Organization, mailbox: Mailbox
) -> None:
    quote, _ = await sent(org, mailbox)
    answer = await org.admin.post(f"/v1/quotes/{quote['id']}/end-link", None)
    assert (answer.status, answer.json["code"]) == (409, "illegal_move")


async def test_a_quote_that_was_accepted_before_there_were_pdfs_is_shown(
    api: RunningApi, org: Organization, mailbox: Mailbox
) -> None:
    quote, path = await accepted(api, org, mailbox)
    api.sql("UPDATE quote_evidence SET pdf = NULL WHERE org_id = %s", org.org_id)
    page = await api.anonymous.get(path)
    assert page.status == 200
    assert f'href="{path}/quote.pdf"' in page.content.decode()
    assert b"A copy" not in page.content
    assert (await api.anonymous.get(f"{path}/accepted.pdf")).status == 404
    for other in (quote, await draft(org)):
        answer = await org.dispatcher.get(f"/v1/quotes/{other['id']}/accepted-pdf")
        assert (answer.status, answer.json["code"]) == (404, "not_found")


async def test_only_who_may_read_evidence_of_customers_has_the_pdf(
    api: RunningApi, org: Organization, mailbox: Mailbox
) -> None:
    quote, _ = await accepted(api, org, mailbox)
    for client in (org.viewer, org.technician):
        assert (await client.get(f"/v1/quotes/{quote['id']}/accepted-pdf")).status == 403


# Storage and length -------------------------------------------------------------------------------


async def test_an_acceptance_counts_as_storage_and_is_not_refused_for_it(
    api: RunningApi, org: Organization, mailbox: Mailbox
) -> None:
    quote, path = await sent(org, mailbox)
    limit = api.settings.attachments_quota_bytes
    api.sql("UPDATE attachment_usage SET bytes = %s WHERE org_id = %s", limit, org.org_id)
    assert (await form(api, f"{path}/accept", **CONSENT)).status == 200
    rows = (await org.viewer.get("/v1/organization/usage")).json["quotas"]
    used = next(row["used"] for row in rows if row["quota"] == ATTACHMENT_BYTES)
    assert used == limit + len(await accepted_pdf(org.dispatcher, quote))


async def test_the_logo_of_the_document_is_on_the_pdf_and_no_other(
    api: RunningApi, org: Organization, mailbox: Mailbox
) -> None:
    await put_logo(org.admin, picture("PNG"))
    same, _ = await accepted(api, org, mailbox)
    quote, path = await sent(org, mailbox)
    await put_logo(org.admin, picture("PNG", (90, 30)))
    assert (await form(api, f"{path}/accept", **CONSENT)).status == 200
    assert pictures_of(await accepted_pdf(org.dispatcher, same)) == 1
    assert pictures_of(await accepted_pdf(org.dispatcher, quote)) == 0
    checked = (await org.dispatcher.get(f"/v1/quotes/{quote['id']}/evidence")).json
    assert checked["is_intact"], checked["faults"]


async def test_what_was_just_short_enough_to_be_sent_can_be_accepted(
    api: RunningApi, org: Organization, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    quote, path = await sent(org, mailbox)
    monkeypatch.setattr("api.documents.typst_printer.MAX_CHARACTERS", 10)
    monkeypatch.setattr("api.documents.quote_pdf.MAX_PDF_BYTES", 10)
    assert (await form(api, f"{path}/accept", **CONSENT)).status == 200
    assert (await read(org, quote))["status"] == "accepted"


# Drafts, units and taxes --------------------------------------------------------------------------

_UNITS = [
    LINE | {"unit": "h"},
    {
        "description": "Pipe",
        "quantity_thousandths": 7_250,
        "unit": "m",
        "unit_price_cents": 1_110,
        "tax_basis_points": 260,
    },
]


async def test_units_and_the_tax_of_each_rate_are_shown(
    api: RunningApi, org: Organization, mailbox: Mailbox
) -> None:
    quote, path = await sent(org, mailbox, lines=_UNITS)
    assert [line["unit"] for line in quote["lines"]] == ["h", "m"]
    assert quote["taxes"] == [
        {"tax_basis_points": 260, "net_cents": 8_048, "tax_cents": 209},
        {"tax_basis_points": 810, "net_cents": 285_000, "tax_cents": 23_085},
    ]
    assert quote["tax_cents"] == 209 + 23_085
    page = (await api.anonymous.get(path)).content.decode()
    pdf = text_of((await api.anonymous.get(f"{path}/quote.pdf")).content)
    for text in ("12.5 h", "7.25 m", "Tax 2.6% of 80.48", "Tax 8.1% of 2,850.00"):
        assert text in page
        assert text in pdf
    again = await org.dispatcher.post(
        "/v1/quotes",
        {name: quote[name] for name in ("client_id", "title", "currency", "valid_until")}
        | {"lines": [LINE]},
    )
    assert again.json["lines"][0]["unit"] is None


@pytest.mark.parametrize("unit", ["", "x" * 21, 5])
async def test_a_unit_is_a_short_word(org: Organization, unit: object) -> None:
    body = {"client_id": await client_of(org), "title": "x", "currency": "CHF"}
    lines = [LINE | {"unit": unit}]
    answer = await org.dispatcher.post(
        "/v1/quotes", body | {"valid_until": "2099-01-01", "lines": lines}
    )
    assert (answer.status, answer.json["errors"][0]["pointer"]) == (422, "/lines/0/unit")


async def test_a_draft_says_so_across_its_pages(org: Organization, mailbox: Mailbox) -> None:
    quote = await draft(org, notes="x\n" * 200)
    pages = PdfReader(io.BytesIO((await org.viewer.get(f"/v1/quotes/{quote['id']}/pdf")).content))
    assert len(pages.pages) > 1
    assert all("Draft" in page.extract_text() for page in pages.pages)
    quote, _ = await sent(org, mailbox)
    assert "Draft" not in text_of((await org.viewer.get(f"/v1/quotes/{quote['id']}/pdf")).content)


# Amounts ------------------------------------------------------------------------------------------


def _from_before(api: RunningApi, org: Organization) -> None:
    """Make the organization's quotes those of a time when amounts were hundredths."""
    api.sql("UPDATE quotes SET amounts_confirmed = false WHERE org_id = %s", org.org_id)


async def test_amounts_have_the_digits_of_their_currency(
    api: RunningApi, org: Organization, mailbox: Mailbox
) -> None:
    line = {"description": "x", "quantity_thousandths": 2_000, "unit_price_cents": 1_250}
    quote, path = await sent(org, mailbox, currency="JPY", lines=[line])
    assert (quote["total_cents"], quote["amounts_confirmed"]) == (2_500, True)
    assert "Total JPY 2,500" in text_of((await api.anonymous.get(f"{path}/quote.pdf")).content)
    thanks = await form(api, f"{path}/accept", **CONSENT)
    assert b"total JPY 2,500." in thanks.content


async def test_a_draft_from_before_is_sent_when_an_admin_has_confirmed_its_amounts(
    api: RunningApi, org: Organization, mailbox: Mailbox
) -> None:
    quote = await draft(org, currency="JPY")
    _from_before(api, org)
    refused = await done(org, quote, "send")
    assert (refused.status, refused.json["code"]) == (409, "amounts_not_confirmed")
    assert (await done(org, quote, "confirm-amounts")).status == 403
    confirmed = await org.admin.post(f"/v1/quotes/{quote['id']}/confirm-amounts", None)
    assert (confirmed.status, confirmed.json["amounts_confirmed"]) == (200, True)
    assert (await done(org, quote, "send")).status == 202
    await mailbox.letters()
    assert (await read(org, quote))["status"] == "sent"


async def test_a_letter_that_waited_is_not_sent_before_amounts_are_confirmed(
    api: RunningApi, org: Organization, mailbox: Mailbox
) -> None:
    quote = await draft(org, currency="JPY")
    await done(org, quote, "send")
    _from_before(api, org)
    assert await mailbox.letters() == []
    now = await read(org, quote)
    assert (now["status"], now["mail_state"]) == ("draft", "failed")
    assert now["send_error"] == (
        "Not sent: an admin has to confirm the amounts of the quote first."
    )


async def test_a_quote_from_before_is_accepted_when_its_amounts_are_confirmed(
    api: RunningApi, org: Organization, mailbox: Mailbox
) -> None:
    quote, path = await sent(org, mailbox, currency="JPY")
    _from_before(api, org)
    by_hand = await done(org, quote, "accept", {"name": "Ann", "reason": "By telephone."})
    assert (by_hand.status, by_hand.json["code"]) == (409, "amounts_not_confirmed")
    answer = await form(api, f"{path}/accept", **CONSENT)
    assert (answer.status, b"are being checked" in answer.content) == (409, True)
    assert (await api.anonymous.get(path)).status == 200
    confirm = f"/v1/quotes/{quote['id']}/confirm-amounts"
    assert (await org.admin.post(confirm, None)).status == 409  # what it shows stays as it was
    second = (await done(org, quote, "revise")).json
    assert second["amounts_confirmed"] is False
    answer = await org.admin.post(f"/v1/quotes/{second['id']}/confirm-amounts", None)
    assert answer.json["amounts_confirmed"] is True
    second, path = await mailed(org, mailbox, second)
    assert (await form(api, f"{path}/accept", **CONSENT)).status == 200
    assert (await read(org, second))["status"] == "accepted"
