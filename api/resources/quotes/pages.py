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
from languages.catalogue import say
from languages.language import Language
from languages.numbers import figure
from operations.quotes.document import QuoteDocument
from operations.quotes.evidence import CONSENT_VERSION, QuoteAcceptance

_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src data:; form-action 'self';"
    " base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS = {"Content-Security-Policy": _POLICY, "X-Robots-Tag": "noindex, nofollow"}
_TOP = """<!doctype html>
<html lang="{language}">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<link rel="stylesheet" href="/quotes/assets/page.css">
<main>
<h1>{title}</h1>
"""
_ANSWERS = """<form method="post" action="/quotes/{token}/accept" id="accept">
<h2>{accept}</h2>
<label>{signing_name}
<input type="text" name="name" required maxlength="200" autocomplete="name"></label>
<div id="drawing" hidden>
<p>{draw} <button type="button" id="clear">{clear}</button></p>
<canvas id="pad" width="600" height="160"></canvas>
</div>
<input type="hidden" name="signature" id="drawn" value="">
<input type="hidden" name="consent_version" value="{version}">
<label><input type="checkbox" name="consent" value="yes" required> {consent}</label>
<button>{accept_button}</button>
</form>
<form method="post" action="/quotes/{token}/decline">
<h2>{decline}</h2>
<label>{name} <input type="text" name="name" required maxlength="200"></label>
<label>{reason} <textarea name="reason" rows="3" maxlength="2000"></textarea></label>
<button>{decline_button}</button>
</form>
<script src="/quotes/assets/signature.js"></script>
"""


def quote_page(
    document: QuoteDocument, logo: bytes | None, token: str, *, fault: str = ""
) -> Response:
    """Return the page on which a customer answers. logo: a small JPEG. fault: of the answer before,
    with status 422.
    """
    language, printed = document.language, printed_quote(document)
    mistake = f'<p class="fault" role="alert">{escape(fault)}</p>\n' if fault else ""
    pdf = _link(token, "quote.pdf", say(language, "page-quote-pdf"))
    body = mistake + _letterhead(printed, logo) + _document(printed, language) + pdf
    body += _answers(language, token)
    return _page(language, _title(printed), body, 422 if fault else 200)


def accepted_page(
    document: QuoteDocument,
    logo: bytes | None,
    token: str,
    acceptance: QuoteAcceptance,
    *,
    has_pdf: bool,
) -> Response:
    """Return the page of a quote that is accepted. has_pdf: there is one with the acceptance."""
    language, printed = document.language, printed_quote(document)
    total = figure(language, document.total_text)
    sentences = [
        printed_acceptance(document, acceptance).sentence,
        say(language, "page-accepted-total", label=printed.label, total=total),
    ]
    if has_pdf and acceptance.how != "by_hand":
        sentences.append(say(language, "page-copy"))
    said = f'<p class="done" role="status">{escape(" ".join(sentences))}</p>\n'
    if has_pdf:
        pdf = _link(token, "accepted.pdf", say(language, "page-accepted-pdf"))
    else:
        pdf = _link(token, "quote.pdf", say(language, "page-quote-pdf"))
    body = said + pdf + _letterhead(printed, logo) + _document(printed, language)
    return _page(language, _title(printed), body, 200)


def note_page(language: Language, title: str, text: str, status: int) -> Response:
    """Return a page that says one thing."""
    return _page(language, title, f"<p>{escape(text)}</p>\n", status)


def _page(language: Language, title: str, body: str, status: int) -> Response:
    content = f"{_TOP.format(language=language, title=escape(title))}{body}</main>\n"
    return Response(content, status, media_type="text/html", headers=_HEADERS)


def _title(printed: PrintedQuote) -> str:
    return f"{printed.label}: {printed.title}"


def _answers(language: Language, token: str) -> str:
    """Return the forms by which a customer answers."""
    texts = {
        "accept": say(language, "page-accept"),
        "signing_name": say(language, "page-signing-name"),
        "draw": say(language, "page-draw"),
        "clear": say(language, "page-clear"),
        "consent": say(language, "consent"),
        "accept_button": say(language, "page-accept-button"),
        "decline": say(language, "page-decline"),
        "name": say(language, "page-name"),
        "reason": say(language, "page-reason"),
        "decline_button": say(language, "page-decline-button"),
        "token": token,
        "version": CONSENT_VERSION,
    }
    return _ANSWERS.format(**{name: escape(text) for name, text in texts.items()})


def _link(token: str, file: str, text: str) -> str:
    return f'<p><a href="/quotes/{escape(token)}/{file}">{escape(text)}</a></p>\n'


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


def _document(printed: PrintedQuote, language: Language) -> str:
    facts = "".join(
        f'<tr><td>{escape(label)}<td class="words">{escape(fact)}\n'
        for label, fact in printed.facts
    )
    heads = {
        "quantity": say(language, "quote-quantity"),
        "unit_price": say(language, "quote-unit-price"),
        "discount": say(language, "quote-discount"),
        "tax": say(language, "quote-tax"),
        "net": say(language, "quote-net"),
    }
    lines = "".join(
        f'<tr><td class="words">{escape(line.description)}{_figures(line, heads)}\n'
        for line in printed.lines
    )
    sums = "".join(f"<tr><td>{escape(label)}<td>{amount}\n" for label, amount in printed.sums)
    head = "".join(f"<th>{escape(head)}" for head in heads.values())
    label, amount = printed.total
    texts = "".join(
        f'<h2>{escape(title)}</h2>\n<p class="words">{escape(text)}</p>\n'
        for title, text in (
            (say(language, "quote-notes"), printed.notes),
            (say(language, "quote-terms"), printed.terms),
        )
        if text
    )
    parties = say(
        language, "page-parties", organization=printed.organization, client=printed.client_name
    )
    description = escape(say(language, "quote-description"))
    return (
        f"<p>{escape(parties)}</p>\n"
        f'<table class="facts">{facts}</table>\n'
        f'<table class="lines"><tr><th class="words">{description}{head}\n{lines}</table>\n'
        f'<table class="sums">{sums}<tr class="total"><td>{escape(label)}<td>{amount}</table>\n'
        f"{texts}"
    )


def _figures(line: PrintedLine, heads: Mapping[str, str]) -> str:
    """Return the cells of a line's figures, which name themselves where a phone hides the head.
    heads: by the name of the figure.
    """
    return "".join(
        f'<td data-label="{escape(head)}">{escape(getattr(line, name))}'
        for name, head in heads.items()
    )
