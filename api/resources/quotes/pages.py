"""The customer's page as HTML: texts in, a response out. Every text is escaped.

The page loads nothing but a style sheet and the script of the signature pad, both from this server,
and works without the script. A logo is in the page itself.
"""

from base64 import b64encode
from collections.abc import Mapping
from html import escape

from starlette.responses import Response

from api.documents.quote_pdf import (
    PrintedLine,
    PrintedQuote,
    printed_acceptance,
    printed_quote,
)
from operations.quotes.document import QuoteDocument
from operations.quotes.evidence import CONSENT_TEXT, CONSENT_VERSION, QuoteAcceptance

_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src data:; form-action 'self';"
    " base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS = {"Content-Security-Policy": _POLICY, "X-Robots-Tag": "noindex, nofollow"}
_TOP = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<link rel="stylesheet" href="/quotes/assets/page.css">
<main>
<h1>{title}</h1>
"""
_ACCEPT = """<form method="post" action="/quotes/{token}/accept" id="accept">
<h2>Accept</h2>
<label>Your name, which is your signature unless you draw one
<input type="text" name="name" required maxlength="200" autocomplete="name"></label>
<div id="drawing" hidden>
<p>Draw your signature, if you like: <button type="button" id="clear">Clear</button></p>
<canvas id="pad" width="600" height="160"></canvas>
</div>
<input type="hidden" name="signature" id="drawn" value="">
<input type="hidden" name="consent_version" value="{version}">
<label><input type="checkbox" name="consent" value="yes" required> {consent}</label>
<button>Accept the quote</button>
</form>
<form method="post" action="/quotes/{token}/decline">
<h2>Decline</h2>
<label>Your name <input type="text" name="name" required maxlength="200"></label>
<label>Why? <textarea name="reason" rows="3" maxlength="2000"></textarea></label>
<button>Decline the quote</button>
</form>
<script src="/quotes/assets/signature.js"></script>
"""


_FIGURES: Mapping[str, str] = {
    "Quantity": "quantity",
    "Unit price": "unit_price",
    "Discount": "discount",
    "Tax": "tax",
    "Net": "net",
}


def quote_page(
    document: QuoteDocument, logo: bytes | None, token: str, *, fault: str = ""
) -> Response:
    """Return the page on which a customer answers. logo: a small JPEG. fault: of the answer before,
    with status 422.
    """
    printed = printed_quote(document)
    mistake = f'<p class="fault" role="alert">{escape(fault)}</p>\n' if fault else ""
    forms = _ACCEPT.format(
        token=escape(token), version=escape(CONSENT_VERSION), consent=escape(CONSENT_TEXT)
    )
    pdf = _link(token, "quote.pdf", "The quote as a PDF")
    body = mistake + _letterhead(printed, logo) + _document(printed) + pdf + forms
    return _page(_title(printed), body, 422 if fault else 200)


def accepted_page(
    document: QuoteDocument,
    logo: bytes | None,
    token: str,
    acceptance: QuoteAcceptance,
    *,
    has_pdf: bool,
) -> Response:
    """Return the page of a quote that is accepted. has_pdf: there is one with the acceptance."""
    printed = printed_quote(document)
    sentences = [
        printed_acceptance(document, acceptance).sentence,
        f"Quote {document.label}, total {document.total_text}.",
    ]
    if has_pdf and acceptance.how != "by_hand":
        sentences.append("A copy goes to the address to which the quote was sent.")
    said = f'<p class="done" role="status">{escape(" ".join(sentences))}</p>\n'
    pdf = _link(token, "quote.pdf", "The quote as a PDF")
    if has_pdf:
        pdf = _link(token, "accepted.pdf", "The quote with the acceptance as a PDF")
    body = said + pdf + _letterhead(printed, logo) + _document(printed)
    return _page(_title(printed), body, 200)


def note_page(title: str, text: str, status: int) -> Response:
    """Return a page that says one thing."""
    return _page(title, f"<p>{escape(text)}</p>\n", status)


def _page(title: str, body: str, status: int) -> Response:
    content = f"{_TOP.format(title=escape(title))}{body}</main>\n"
    return Response(content, status, media_type="text/html", headers=_HEADERS)


def _title(printed: PrintedQuote) -> str:
    return f"{printed.label}: {printed.title}"


def _link(token: str, file: str, text: str) -> str:
    return f'<p><a href="/quotes/{escape(token)}/{file}">{text}</a></p>\n'


def _letterhead(printed: PrintedQuote, logo: bytes | None) -> str:
    """Return the logo, which is part of the page itself, and the address."""
    name, parts = escape(printed.organization), ""
    if logo is not None:
        source = f"data:image/jpeg;base64,{b64encode(logo).decode()}"
        parts = f'<p><img class="logo" alt="{name}" src="{source}"></p>\n'
    if printed.organization_address:
        address = escape(printed.organization_address)
        parts += f'<p class="words address">{name}\n{address}</p>\n'
    return parts


def _document(printed: PrintedQuote) -> str:
    facts = "".join(
        f'<tr><td>{escape(label)}<td class="words">{escape(fact)}\n'
        for label, fact in printed.facts
    )
    lines = "".join(
        f'<tr><td class="words">{escape(line.description)}{_figures(line)}\n'
        for line in printed.lines
    )
    sums = "".join(f"<tr><td>{escape(label)}<td>{amount}\n" for label, amount in printed.sums)
    heads = "".join(f"<th>{head}" for head in _FIGURES)
    label, amount = printed.total
    texts = "".join(
        f'<h2>{title}</h2>\n<p class="words">{escape(text)}</p>\n'
        for title, text in (("Notes", printed.notes), ("Terms", printed.terms))
        if text
    )
    return (
        f"<p>{escape(printed.organization)} for {escape(printed.client_name)}</p>\n"
        f'<table class="facts">{facts}</table>\n'
        f'<table class="lines"><tr><th class="words">Description{heads}\n{lines}</table>\n'
        f'<table class="sums">{sums}<tr class="total"><td>{escape(label)}<td>{amount}</table>\n'
        f"{texts}"
    )


def _figures(line: PrintedLine) -> str:
    """Return the cells of a line's figures, which name themselves where a phone hides the head."""
    return "".join(
        f'<td data-label="{head}">{escape(getattr(line, name))}' for head, name in _FIGURES.items()
    )
