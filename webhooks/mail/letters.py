"""The text of letters, in a language of `languages`: values in, a message out."""

from contextlib import suppress
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import localtime, make_msgid, parseaddr
from urllib.parse import urlencode

from db.delivery.mail_outbox import Letter
from db.delivery.report_runs import ReportLetter
from db.identity.user_links import Purpose
from db.quotes.mailing import AcceptanceLetter, QuoteLetter
from languages.catalogue import named, say
from languages.dates import full_day
from languages.language import USUAL, Language
from languages.numbers import figure
from operations.quotes.document import QuoteDocument, read_document
from telemetry.ids import format_id

_PAGES: dict[Purpose, str] = {"invitation": "invitation", "password_reset": "password-reset"}


class LetterError(Exception):
    """Nobody is to get this letter: its address is none, or its quote is not valid any more."""


def compose(letter: Letter, token: str, sender: str, public_url: str) -> EmailMessage:
    """Return a letter with its link. The token stands behind a #, which no server gets to see.

    Raises LetterError.
    """
    assert letter.purpose in _PAGES
    language, organization = _language(letter), _one_line(letter.organization or "")
    link = f"{public_url.rstrip('/')}/{_PAGES[letter.purpose]}#token={token}"
    if letter.purpose == "invitation":
        subject = say(language, "invitation-subject", organization=organization)
        beginning = say(language, "invitation-beginning", organization=organization)
        end = say(language, "invitation-end")
    else:
        subject = say(language, "password-reset-subject", organization=organization)
        beginning = say(language, "password-reset-beginning", organization=organization)
        end = say(language, "password-reset-end")
    return _message(letter, sender, subject, [_greeting(letter), beginning, link, end])


def compose_quote(
    letter: Letter, quote: QuoteLetter, token: str, sender: str, public_url: str
) -> EmailMessage:
    """Return the letter of a quote with its PDF, and the link to the page on which its customer
    answers, in the language of both. The server makes that page, so the token stands in its path.

    Raises LetterError.
    """
    if quote.fault:
        raise LetterError(quote.fault)
    document = read_document(quote.content)
    language, organization = document.language, _one_line(document.organization)
    label, day = _label(document, language), full_day(language, document.valid_until)
    paragraphs = [
        say(language, "hello"),
        say(
            language,
            "quote-letter-beginning",
            organization=organization,
            label=label,
            title=document.title,
        ),
        say(language, "quote-letter-link"),
        f"{public_url.rstrip('/')}/quotes/{token}",
        say(language, "quote-letter-end", day=day),
    ]
    subject = say(language, "quote-letter-subject", label=label, organization=organization)
    message = _message(
        letter, sender, subject, paragraphs, name=organization, reply_to=letter.office
    )
    _attach(message, quote.pdf, f"{label}.pdf")
    return message


def compose_acceptance(letter: Letter, accepted: AcceptanceLetter, sender: str) -> EmailMessage:
    """Return the letter that confirms an acceptance to the customer, in the language of the quote.
    Raises LetterError.
    """
    document = read_document(accepted.content)
    language, organization = document.language, _one_line(document.organization)
    name, label = _one_line(accepted.acceptance.name), _label(document, language)
    paragraphs = [
        say(language, "hello"),
        say(
            language,
            "acceptance-letter-beginning",
            name=name,
            label=label,
            organization=organization,
            title=document.title,
        ),
        _total(document, language),
        say(language, "acceptance-letter-end"),
    ]
    subject = say(language, "acceptance-letter-subject", label=label, organization=organization)
    message = _message(
        letter, sender, subject, paragraphs, name=organization, reply_to=letter.office
    )
    _attach(message, accepted.pdf, f"{label}-accepted.pdf")
    return message


def compose_acceptance_notice(
    letter: Letter, accepted: AcceptanceLetter, sender: str
) -> EmailMessage:
    """Return the letter that tells the office of an acceptance; who replies to it writes to the
    customer. Raises LetterError.
    """
    document, language = read_document(accepted.content), _language(letter)
    name, label = _one_line(accepted.acceptance.name), _label(document, language)
    paragraphs = [
        say(language, "hello"),
        say(
            language,
            "acceptance-notice-beginning",
            name=name,
            label=label,
            client=_one_line(document.client_name),
            title=document.title,
        ),
        _total(document, language),
        say(language, "acceptance-notice-end"),
    ]
    subject = say(language, "acceptance-notice-subject", label=label, name=name)
    message = _message(letter, sender, subject, paragraphs, reply_to=accepted.sent_to)
    _attach(message, accepted.pdf, f"{label}-accepted.pdf")
    return message


def compose_endpoint_disabled(letter: Letter, sender: str) -> EmailMessage:
    """Return the letter about a webhook endpoint that was disabled. Raises LetterError."""
    assert letter.endpoint_id is not None
    assert letter.disabled_reason is not None
    language, organization = _language(letter), _one_line(letter.organization or "")
    endpoint = described = format_id("whe", letter.endpoint_id)
    description = _one_line(letter.endpoint_description or "")
    if description:
        described = say(language, "endpoint-described", endpoint=endpoint, description=description)
    paragraphs = [
        _greeting(letter),
        say(
            language,
            "endpoint-disabled-beginning",
            endpoint=described,
            organization=organization,
            reason=named(language, "endpoint-disabled", letter.disabled_reason),
        ),
        say(language, "endpoint-disabled-mend"),
        f'PATCH /v1/webhook-endpoints/{endpoint} {{"state": "active"}}',
        say(language, "endpoint-disabled-recover"),
        f"POST /v1/webhook-endpoints/{endpoint}/recover",
    ]
    subject = say(language, "endpoint-disabled-subject", organization=organization)
    return _message(letter, sender, subject, paragraphs)


def compose_report(
    letter: Letter, report: ReportLetter, sender: str, public_url: str
) -> EmailMessage:
    """Return the letter about a report, with a link to the page that has it. It says nothing of
    what is in the report: who opens the link signs in. Raises LetterError.
    """
    language, organization = _language(letter), _one_line(letter.organization or "")
    name, first = _one_line(report.schedule), full_day(language, report.period_from)
    title = named(language, "report-title", report.report)
    if report.period_from == report.period_to:
        period = first
    else:
        period = say(language, "report-span", start=first, end=full_day(language, report.period_to))
    paragraphs = [
        _greeting(letter),
        say(
            language,
            "report-letter-beginning",
            name=name,
            report=title,
            organization=organization,
            period=period,
        ),
        f"{public_url.rstrip('/')}/app/reports?{urlencode(_page_of(report))}",
        say(language, "report-letter-end"),
    ]
    subject = say(language, "report-letter-subject", name=name, period=period)
    return _message(letter, sender, subject, paragraphs)


def _page_of(report: ReportLetter) -> dict[str, str]:
    """Return the query of the page: its filters are those of the API, by shorter names."""
    filters = {"by" if name == "group_by" else name: text for name, text in report.filters.items()}
    return {
        "report": report.report,
        "from": report.period_from.isoformat(),
        "to": report.period_to.isoformat(),
        "tz": report.time_zone,
        **{name.removesuffix("_id"): text for name, text in filters.items()},
    }


def _language(letter: Letter) -> Language:
    return letter.language or USUAL


def _greeting(letter: Letter) -> str:
    if letter.user_name:
        return say(_language(letter), "hello-name", name=letter.user_name)
    return say(_language(letter), "hello")


def _label(document: QuoteDocument, language: Language) -> str:
    number = str(document.number)
    return say(language, "quote-label", number=number, revision=document.revision)


def _total(document: QuoteDocument, language: Language) -> str:
    total = figure(language, document.total_text)
    return say(language, "acceptance-letter-total", total=total)


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _attach(message: EmailMessage, pdf: bytes, name: str) -> None:
    """Add a PDF to a message. name: may have blanks."""
    file = name.replace(" ", "-")
    message.add_attachment(pdf, maintype="application", subtype="pdf", filename=file)


def _message(
    letter: Letter,
    sender: str,
    subject: str,
    paragraphs: list[str],
    *,
    name: str = "",
    reply_to: str | None = None,
) -> EmailMessage:
    """Return a letter. name: of the organization that it comes from, at the address of the sender.
    Raises LetterError for an address that is none.
    """
    message = EmailMessage()
    try:
        message["To"] = Address(addr_spec=letter.email)
        message["From"] = Address(name, addr_spec=parseaddr(sender)[1]) if name else sender
    except (MessageError, ValueError, IndexError) as error:
        raise LetterError(str(error)) from error
    if reply_to is not None:
        with suppress(MessageError, ValueError, IndexError):  # a letter without it is a letter, too
            message["Reply-To"] = Address(addr_spec=reply_to)
    message["Subject"] = subject
    message["Date"] = localtime()
    message["Message-ID"] = make_msgid(domain="ops-companion.invalid")
    message["Auto-Submitted"] = "auto-generated"
    message.set_content("\n\n".join(paragraphs) + "\n", cte="8bit")
    return message
