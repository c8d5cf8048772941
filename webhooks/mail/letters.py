"""The text of letters: values in, a message out."""

from contextlib import suppress
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import localtime, make_msgid, parseaddr

from db.delivery.mail_outbox import Letter
from db.identity.user_links import Purpose
from db.quotes.mailing import AcceptanceLetter, QuoteLetter
from operations.quotes.document import read_document
from telemetry.ids import format_id

_SUBJECTS: dict[Purpose, str] = {
    "invitation": "Invitation to {organization}",
    "password_reset": "A new password for {organization}",
}
_BEGINNINGS: dict[Purpose, str] = {
    "invitation": "You are invited to {organization} on OPS Companion. Choose a password here:",
    "password_reset": (
        "Somebody, probably you, wants a new password for {organization} on OPS Companion."
        " Choose it here:"
    ),
}
_ENDS: dict[Purpose, str] = {
    "invitation": "The link is good once, for seven days.",
    "password_reset": (
        "The link is good once, for an hour. If it was not you, there is nothing to do: your"
        " password stays as it is."
    ),
}
_DISABLED = {
    "failures": "it has accepted nothing for a long time.",
    "gone": "it answered 410, which says that it is gone.",
    "backlog": "too many deliveries waited for it.",
    "user": "a user disabled it.",
}
_PAGES: dict[Purpose, str] = {"invitation": "invitation", "password_reset": "password-reset"}


class LetterError(Exception):
    """Nobody is to get this letter: its address is none, or its quote is not valid any more."""


def compose(letter: Letter, token: str, sender: str, public_url: str) -> EmailMessage:
    """Return a letter with its link. The token stands behind a #, which no server gets to see.

    Raises LetterError.
    """
    assert letter.purpose in _SUBJECTS
    organization = _one_line(letter.organization or "")
    greeting = f"Hello {letter.user_name}," if letter.user_name else "Hello,"
    link = f"{public_url.rstrip('/')}/{_PAGES[letter.purpose]}#token={token}"
    beginning = _BEGINNINGS[letter.purpose].format(organization=organization)
    subject = _SUBJECTS[letter.purpose].format(organization=organization)
    return _message(letter, sender, subject, [greeting, beginning, link, _ENDS[letter.purpose]])


def compose_quote(
    letter: Letter, quote: QuoteLetter, token: str, sender: str, public_url: str
) -> EmailMessage:
    """Return the letter of a quote with its PDF, and the link to the page on which its customer
    answers. The server makes that page, so the token stands in its path.

    Raises LetterError.
    """
    if quote.fault:
        raise LetterError(quote.fault)
    document = read_document(quote.content)
    organization = _one_line(document.organization)
    paragraphs = [
        "Hello,",
        f"{organization} sends you the quote {document.label}: {document.title}.",
        "See it, accept it or decline it here:",
        f"{public_url.rstrip('/')}/quotes/{token}",
        f"The quote is valid until {document.valid_until.isoformat()}. Whoever has this link can"
        " answer for you: keep it to yourself.",
    ]
    subject = f"Quote {document.label} from {organization}"
    message = _message(
        letter, sender, subject, paragraphs, name=organization, reply_to=letter.office
    )
    _attach(message, quote.pdf, f"{document.label}.pdf")
    return message


def compose_acceptance(letter: Letter, accepted: AcceptanceLetter, sender: str) -> EmailMessage:
    """Return the letter that confirms an acceptance to the customer. Raises LetterError."""
    document = read_document(accepted.content)
    organization = _one_line(document.organization)
    paragraphs = [
        "Hello,",
        f"{_one_line(accepted.acceptance.name)} has accepted the quote {document.label} of"
        f" {organization}: {document.title}.",
        f"The total is {document.total_text}.",
        "The quote with the acceptance is attached: keep it. For some time, the link in the letter"
        " with the quote shows it, too.",
    ]
    subject = f"Quote {document.label} from {organization} is accepted"
    message = _message(
        letter, sender, subject, paragraphs, name=organization, reply_to=letter.office
    )
    _attach(message, accepted.pdf, f"{document.label}-accepted.pdf")
    return message


def compose_acceptance_notice(
    letter: Letter, accepted: AcceptanceLetter, sender: str
) -> EmailMessage:
    """Return the letter that tells the office of an acceptance; who replies to it writes to the
    customer. Raises LetterError.
    """
    document = read_document(accepted.content)
    name = _one_line(accepted.acceptance.name)
    paragraphs = [
        "Hello,",
        f"{name} has accepted the quote {document.label} for {_one_line(document.client_name)}:"
        f" {document.title}.",
        f"The total is {document.total_text}.",
        "The quote with the acceptance is attached. A reply to this letter goes to the customer.",
    ]
    subject = f"Quote {document.label} is accepted by {name}"
    message = _message(letter, sender, subject, paragraphs, reply_to=accepted.sent_to)
    _attach(message, accepted.pdf, f"{document.label}-accepted.pdf")
    return message


def compose_endpoint_disabled(letter: Letter, sender: str) -> EmailMessage:
    """Return the letter about a webhook endpoint that was disabled. Raises LetterError."""
    assert letter.endpoint_id is not None
    assert letter.disabled_reason is not None
    organization = _one_line(letter.organization or "")
    endpoint = format_id("whe", letter.endpoint_id)
    described = _one_line(letter.endpoint_description or "")
    paragraphs = [
        f"Hello {letter.user_name}," if letter.user_name else "Hello,",
        f"The webhook endpoint {endpoint} of {organization}"
        + (f' ("{described}")' if described else "")
        + f" was disabled: {_DISABLED[letter.disabled_reason]} Nothing is sent to it any more.",
        "Mend the receiver, and then enable the endpoint again:",
        f'PATCH /v1/webhook-endpoints/{endpoint} {{"state": "active"}}',
        "What had failed can then be sent again:",
        f"POST /v1/webhook-endpoints/{endpoint}/recover",
    ]
    subject = f"A webhook endpoint of {organization} was disabled"
    return _message(letter, sender, subject, paragraphs)


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
