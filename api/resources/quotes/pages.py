"""The customer's page as HTML: texts in, a response out. Every text is escaped.

The page loads nothing but a style sheet and the script of the signature pad, both from this server,
and works without the script. A logo is in the page itself.
"""

from base64 import b64encode
from collections.abc import Mapping
from html import escape

from starlette.responses import Response

from api.documents.quote_pdf import PrintedLine, PrintedQuote, printed_quote
from operations.quotes.document import QuoteDocument
from operations.quotes.evidence import CONSENT_TEXT, CONSENT_VERSION

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
    body = mistake + _letterhead(printed, logo) + _document(printed, token) + forms
    return _page(f"{printed.label}: {printed.title}", body, 422 if fault else 200)


def note_page(title: str, text: str, status: int) -> Response:
    """Return a page that says one thing."""
    return _page(title, f"<p>{escape(text)}</p>\n", status)


def _page(title: str, body: str, status: int) -> Response:
    content = _TOP.format(title=escape(title)) + body
    return Response(content, status, media_type="text/html", headers=_HEADERS)


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


def _document(printed: PrintedQuote, token: str) -> str:
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
        f'{texts}<p><a href="/quotes/{escape(token)}/quote.pdf">The quote as a PDF</a></p>\n'
    )


def _figures(line: PrintedLine) -> str:
    """Return the cells of a line's figures, which name themselves where a phone hides the head."""
    return "".join(
        f'<td data-label="{head}">{escape(getattr(line, name))}' for head, name in _FIGURES.items()
    )
