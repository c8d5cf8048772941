"""The language of an organization, in documents, on the customer's page and in letters."""

import re
from email.message import EmailMessage
from typing import Any

import pytest

from languages.catalogue import say
from tests.api.mailbox import Mailbox
from tests.api.resources.quotes.test_quote_acceptance import accepted_pdf, attached, text_of
from tests.api.resources.quotes.test_quote_acceptance import words_of as body_of
from tests.api.resources.quoting import CONSENT, done, draft, form, letters_to, read
from tests.api.running import Organization, RunningApi

_GERMAN = {"Accept-Language": "de-CH, de;q=0.9, en;q=0.5"}
_PDF = {"Accept": "application/pdf"}


def _speak(api: RunningApi, org: Organization, language: str | None) -> None:
    api.sql("UPDATE organizations SET language = %s WHERE org_id = %s", language, org.org_id)


async def _german_quote(
    api: RunningApi, org: Organization, mailbox: Mailbox
) -> tuple[dict[str, Any], str, EmailMessage]:
    """Return a quote that a German organization has sent, the path of its page, and its letter."""
    _speak(api, org, "de")
    quote = (await done(org, await draft(org), "send")).json
    (letter,) = await letters_to(mailbox, quote["sent_to"])
    found = re.search(r"https://ops\.example\.com(/quotes/opsl_\S+)", body_of(letter))
    assert found is not None
    return quote, found[1], letter


@pytest.mark.about("quotes", "work orders", "timesheets", "inspections")
async def test_documents_are_in_the_language_of_the_organization(
    api: RunningApi, org: Organization
) -> None:
    order = (await org.admin.post("/v1/work-orders", {"title": "x"})).headers["Location"]
    quote = await draft(org)
    for language, says in (
        (None, ("Work order 1", "Draft")),
        ("de", ("Arbeitsauftrag 1", "Entwurf")),
    ):
        _speak(api, org, language)
        pdfs = (
            await org.viewer.get(order, headers=_PDF),
            await org.viewer.get(f"/v1/quotes/{quote['id']}/pdf"),
        )
        for pdf, text in zip(pdfs, says, strict=True):
            assert text in text_of(pdf.content)


async def test_a_quote_keeps_the_language_in_which_it_was_sent(
    api: RunningApi, org: Organization, mailbox: Mailbox
) -> None:
    quote, path, letter = await _german_quote(api, org, mailbox)
    assert letter["Subject"] == "Angebot Q-1 von Quarries"
    assert "Das Angebot gilt bis zum 30. April 2099." in body_of(letter)
    name, pdf = attached(letter)
    assert (name, "Gesamtbetrag CHF 3.080,85" in text_of(pdf)) == ("Q-1.pdf", True)
    _speak(api, org, "en")
    page = (await api.anonymous.get(path)).content.decode()
    assert '<html lang="de">' in page
    for text in ("Einzelpreis", "3.080,85", say("de", "consent"), "Angebot annehmen"):
        assert text in page
    refused = await form(api, f"{path}/accept", **CONSENT | {"name": " "})
    assert "Bitte geben Sie Ihren Namen an." in refused.content.decode()
    thanks = (await form(api, f"{path}/accept", **CONSENT)).content.decode()
    assert "Angenommen von Ann Lee am " in thanks
    assert "Angebot Q-1, Gesamtbetrag CHF 3.080,85." in thanks
    assert "Gesamtbetrag CHF 3.080,85" in text_of(await accepted_pdf(org.admin, quote))
    assert (await read(org, quote))["evidence"][-1]["consent_text"] == say("de", "consent")
    checked = (await org.admin.get(f"/v1/quotes/{quote['id']}/evidence")).json
    assert (checked["is_intact"], checked["faults"]) == (True, [])
    letters = {letter["To"]: letter for letter in await mailbox.letters()}
    customer, office = letters.pop(quote["sent_to"]), letters.popitem()[1]
    assert customer["Subject"] == "Angenommen: Angebot Q-1 von Quarries"
    assert "Der Gesamtbetrag ist CHF 3.080,85." in body_of(customer)
    assert office["Subject"] == "Quote Q-1 is accepted by Ann Lee"
    assert "The total is CHF 3,080.85." in body_of(office)


async def test_what_is_said_of_a_quote_is_in_its_language_and_of_no_quote_in_the_browsers(
    api: RunningApi, org: Organization, mailbox: Mailbox
) -> None:
    _, path, _ = await _german_quote(api, org, mailbox)
    declined = await form(api, f"{path}/decline", name="Ann Lee")
    assert "Sie haben das Angebot abgelehnt." in declined.content.decode()
    for headers in ({}, _GERMAN):
        closed = await api.anonymous.get(path, headers)
        assert (closed.status, "bereits abgelehnt" in closed.content.decode()) == (410, True)
    for headers, language, text in (
        ({}, "en", "There is no quote at this address."),
        (_GERMAN, "de", "Unter dieser Adresse gibt es kein Angebot."),
        ({"Accept-Language": "fr, *"}, "en", "There is no quote at this address."),
    ):
        nothing = (await api.anonymous.get("/quotes/opsl_guess", headers)).content.decode()
        assert f'<html lang="{language}">' in nothing
        assert text in nothing


@pytest.mark.parametrize(
    ("own", "theirs", "greeting"),
    [
        ("de", "en", "Guten Tag,"),
        (None, "de", "Guten Tag,"),
        ("en", "de", "Hello,"),
        (None, None, "Hello,"),
    ],
)
async def test_a_letter_is_in_the_language_of_its_user_else_of_the_organization(
    api: RunningApi,
    org: Organization,
    mailbox: Mailbox,
    own: str | None,
    theirs: str | None,
    greeting: str,
) -> None:
    _speak(api, org, theirs)
    body = {"email": f"new@{org.id}.example", "role": "viewer"}
    assert (await org.admin.post("/v1/users", body)).status == 201
    api.sql("UPDATE users SET language = %s WHERE email = %s", own, body["email"])
    (letter,) = await letters_to(mailbox, body["email"])
    assert body_of(letter).startswith(greeting)
    german = greeting != "Hello,"
    assert letter["Subject"] == ("Einladung zu Quarries" if german else "Invitation to Quarries")
