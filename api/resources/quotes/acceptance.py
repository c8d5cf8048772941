"""The page of a quote's customer: see the quote, accept it with a signature, or decline it.

The token in the link is the only key. It opens one quote and nothing else, until the quote is
declined, over or superseded; then the page says so and shows no more. What was accepted is shown
for some time, unless an admin ends the link. Requests are counted by address and by token. The
first GET makes the quote viewed; a HEAD does not, and what a browser fetches before its user asks
for it is refused, so that it asks again.
"""

from collections.abc import Mapping
from datetime import timedelta
from importlib.resources import files
from typing import Annotated, Any
from urllib.parse import parse_qsl
from uuid import UUID

from fastapi import APIRouter, Body, Path
from pydantic import ConfigDict
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from api.context import ApiState
from api.http import fields
from api.http.answers.fixed_answers import FixedAnswer
from api.http.errors import database_trouble
from api.http.headers import liked_language, media_type
from api.http.middleware import is_head, note_refusal
from api.http.problems import Problem
from api.request.handler_arguments import Handle
from api.request.route import FixedRoute, PublicRoute
from api.request.signatures import decoded_signature
from api.resources.quotes.decisions import (
    QuoteDecision,
    acceptance_with_pdf,
    append_entry,
    decide,
    quote_to_accept,
)
from api.resources.quotes.pages import accepted_page, note_page, quote_page
from api.resources.quotes.sending import check_not_overtaken
from db.core.connect import Connection
from db.core.errors import OperationalError
from db.core.secrets import MAX_SECRET_CHARACTERS, secret_hash
from db.core.table import db_now
from db.core.tenant import reading, tenant
from db.delivery import mail_outbox
from db.quotes import evidence
from db.quotes.evidence import StoredEvidence
from db.quotes.quotes import QuoteRow, lock_revisions, quotes
from languages.catalogue import say
from languages.language import Language
from operations.quotes.document import read_document
from operations.quotes.evidence import CONSENT_VERSION, acceptance_in
from operations.quotes.states import QUOTES, QuoteState
from operations.signatures import SignatureError

_FORM = "application/x-www-form-urlencoded"
_MAX_FIELDS = 10
_MAX_NAME, _MAX_REASON, _MAX_AGENT = 200, 2_000, 500
_DATA_URL = "data:image/png;base64,"
_A_DAY = {"Cache-Control": "public, max-age=86400"}
_FILES = files("api.resources.quotes")
_STYLE = FixedAnswer(lambda _: _FILES.joinpath("page.css").read_bytes(), "text/css", _A_DAY)
_SCRIPT = FixedAnswer(
    lambda _: _FILES.joinpath("signature.js").read_bytes(), "text/javascript", _A_DAY
)
_TokenPath = Annotated[str, Path()]
_PURPOSES = ("sec-purpose", "purpose", "x-purpose", "x-moz")  # of browsers, the first by WHATWG
_CLOSED: Mapping[QuoteState, str] = {
    "accepted": "page-closed-accepted",
    "declined": "page-closed-declined",
    "expired": "page-closed-expired",
    "superseded": "page-closed-superseded",
}
_PROBLEMS: Mapping[str, str] = {
    "rate_limited": "page-rate-limited",
    "unknown_parameter": "page-unknown-parameter",
    "too_many_requests": "page-too-many-requests",
    "unavailable": "page-unavailable",
}
"""The texts of problems that a customer can do something about, by their codes."""


class _PageRoute(PublicRoute):
    """A route that takes forms, which may have a drawn signature, from who has a link. A problem is
    a page, too, and so is a link that leads to no quote that can be answered.
    """

    body_limit_bytes = 300_000

    def get_route_handler(self) -> Handle:
        handle = super().get_route_handler()

        async def answer_with_a_page(request: Request) -> Response:
            try:
                return await handle(request)
            except _ClosedError as closed:
                return _note(request, closed.text, closed.status)
            except Problem as problem:
                return _page_of(request, problem)
            except OperationalError as error:
                return _page_of(request, database_trouble(error))

        self._handle = answer_with_a_page
        return answer_with_a_page

    async def body_of(self, request: Request, content: bytes) -> object:
        """Return the fields of a form, which are not read for a link to nothing. Raises
        _ClosedError; Problem (400, 415, 429).
        """
        request.state.opened = await _opened(request, request.path_params["token"])
        return self.decode(request, content)

    def decode(self, request: Request, content: bytes) -> object:
        """Return the fields of a form. Raises Problem (400, 415)."""
        if media_type(request.headers) != _FORM:
            raise Problem(415, "not_a_form", f"The Content-Type must be {_FORM}.")
        try:
            pairs = parse_qsl(content.decode(), max_num_fields=_MAX_FIELDS, errors="strict")
        except ValueError:
            raise Problem(400, "invalid_form", "The form cannot be read.") from None
        return dict(pairs)


def _page_of(request: Request, problem: Problem) -> Response:
    """Return a problem in plain words."""
    note_refusal(request.scope, problem)
    page = _note(request, _PROBLEMS.get(problem.code, "page-not-read"), problem.status)
    page.headers.update(problem.headers)
    return page


def _note(request: Request, text: str, status: int) -> Response:
    """Return a page that says one text, by its name."""
    language = _language(request)
    return note_page(language, say(language, "quote"), say(language, text), status)


def _language(request: Request) -> Language:
    """Return the language of the quote, once that is found; the browser's before."""
    return getattr(request.state, "language", None) or liked_language(request.headers)


class CustomerAnswer(fields.Body):
    """The fields of both forms. What is missing is empty."""

    model_config = ConfigDict(extra="ignore", strict=True, frozen=True)

    name: str = ""
    reason: str = ""
    signature: str = ""
    consent: str = ""
    consent_version: str = ""


class _ClosedError(Exception):
    """A link that leads to no quote that can be answered. text: the name of what the page says."""

    def __init__(self, text: str, status: int, *, is_accepted: bool = False) -> None:
        super().__init__(text)
        self.text = text
        self.status = status
        self.is_accepted = is_accepted


router = APIRouter(prefix="/quotes", route_class=_PageRoute, include_in_schema=False)
_fixed = APIRouter(prefix="/quotes", route_class=FixedRoute, include_in_schema=False)


@_fixed.get("/assets/page.css")
async def page_style(request: Request) -> Response:
    """Answer with the style sheet of the page."""
    return await _STYLE.response(request)


@_fixed.get("/assets/signature.js")
async def page_script(request: Request) -> Response:
    """Answer with the script of the signature pad."""
    return await _SCRIPT.response(request)


router.routes.extend(_fixed.routes)


@router.get("/{token}")
async def see_quote(request: Request, token: _TokenPath) -> Response:
    """Show a quote to its customer. The first look makes it viewed."""
    if _is_ahead(request):
        return _note(request, "page-ahead", 503)
    org_id, quote_id = await _opened(request, token)
    async with tenant(request.app.state.api.connections, org_id) as conn:
        if await _is_accepted(request, conn, quote_id):
            return await _accepted(conn, org_id, quote_id, token)
        row = await _locked(conn, quote_id)
        if row.state == "sent" and not is_head(request.scope):
            await _viewed(conn, org_id, row, request)
        return await _shown(conn, org_id, quote_id, token)


@router.get("/{token}/quote.pdf")
async def see_quote_pdf(request: Request, token: _TokenPath) -> Response:
    """Answer with the PDF as it was sent."""
    kept = await _kept(request, token)
    return _pdf(kept.files.pdf, "quote.pdf")


@router.get("/{token}/accepted.pdf")
async def see_accepted_pdf(request: Request, token: _TokenPath) -> Response:
    """Answer with the PDF of a quote with its acceptance."""
    kept = await _kept(request, token)
    if kept.files.acceptance_pdf is None:
        raise _no_such_link()
    return _pdf(kept.files.acceptance_pdf, "accepted-quote.pdf")


@router.get("/{token}/accept")
@router.get("/{token}/decline")
async def see_quote_again(token: _TokenPath) -> Response:
    """Lead back to the page: a browser asks for the address of an answer when it is opened anew."""
    return RedirectResponse(f"/quotes/{token}", 303)


@router.post("/{token}/accept")
async def accept_by_customer(
    request: Request, token: _TokenPath, body: Annotated[CustomerAnswer, Body()]
) -> Response:
    """Accept a quote with a typed or drawn signature, once. Whoever does so again sees the same."""
    state: ApiState = request.app.state.api
    org_id, quote_id = request.state.opened
    try:
        language = _language(request)
        fault, png = await _fault_of(state, org_id, body)
        async with tenant(state.connections, org_id) as conn:
            if not (await _locked(conn, quote_id)).amounts_confirmed:
                raise _ClosedError("page-not-confirmed", 409)
            if fault:
                return await _shown(conn, org_id, quote_id, token, say(language, fault))
            quote = await quote_to_accept(conn, org_id, quote_id)
        facts = {
            "name": _line(body.name, _MAX_NAME),
            "signature": "typed" if png is None else "drawn",
            "consent_version": CONSENT_VERSION,
            "consent_text": say(language, "consent"),
            **_origin(request),
        }
        decision = await acceptance_with_pdf(state, org_id, quote, "accepted", facts, png)
        async with tenant(state.connections, org_id) as conn:
            row = await _locked(conn, quote_id)
            await decide(conn, org_id, row, decision)
            if row.sent_to is not None:
                await mail_outbox.add_acceptance(conn, quote_id, row.sent_to)
    except _ClosedError as closed:
        if not closed.is_accepted:
            raise
    return RedirectResponse(f"/quotes/{token}", 303)


@router.post("/{token}/decline")
async def decline_by_customer(
    request: Request, token: _TokenPath, body: Annotated[CustomerAnswer, Body()]
) -> Response:
    """Write that a customer declines a quote, once."""
    org_id, quote_id = request.state.opened
    language = _language(request)
    async with tenant(request.app.state.api.connections, org_id) as conn:
        row = await _locked(conn, quote_id)
        name = _line(body.name, _MAX_NAME)
        if not name:
            return await _shown(conn, org_id, quote_id, token, say(language, "page-fault-name"))
        reason = body.reason.replace("\x00", "").strip()[:_MAX_REASON] or None
        facts = {"name": name, "reason": reason, **_origin(request)}
        await decide(conn, org_id, row, QuoteDecision("declined", await db_now(conn), facts))
    return note_page(language, say(language, "page-thanks"), say(language, "page-declined"), 200)


# Parts --------------------------------------------------------------------------------------------


async def _opened(request: Request, token: str) -> tuple[UUID, UUID]:
    """Return the organization and the quote of a token. Raises _ClosedError; Problem (429)."""
    state: ApiState = request.app.state.api
    if len(token) > MAX_SECRET_CHARACTERS:
        raise _no_such_link()
    token_hash = secret_hash(token)
    state.admission.admit_link(request, token_hash)
    async with state.connections.connection() as conn:
        org_id = await evidence.org_of_link(conn, token_hash)
    if org_id is None:
        raise _no_such_link()
    async with reading(state.connections, org_id) as conn:
        linked = await evidence.quote_of_link(conn, token_hash)
    if linked is None:
        raise _no_such_link()
    request.state.language = linked.language
    return org_id, linked.quote_id


def _no_such_link() -> _ClosedError:
    return _ClosedError("page-no-such-link", 404)


async def _locked(conn: Connection, quote_id: UUID) -> QuoteRow:
    """Lock all revisions of a quote, and return it, if it can be answered. Raises _ClosedError."""
    row = _check_open(await quotes.find(conn, quote_id))
    revisions = await lock_revisions(conn, row.number)
    try:
        check_not_overtaken(row, revisions)
    except Problem:
        raise _ClosedError(_CLOSED["superseded"], 410) from None
    return _check_open(await quotes.find(conn, quote_id, lock=True))


def _check_open(row: QuoteRow | None) -> QuoteRow:
    """Return a quote that can be answered. Raises _ClosedError."""
    if row is None or row.deleted_at is not None:
        raise _no_such_link()
    if row.state == "draft":  # its letter has just been taken
        raise _ClosedError("page-not-ready", 404)
    if row.state in _CLOSED:
        is_accepted = row.state == "accepted"
        raise _ClosedError(_CLOSED[row.state], 410, is_accepted=is_accepted)
    if row.is_over:
        raise _ClosedError(_CLOSED["expired"], 410)
    return row


async def _viewed(conn: Connection, org_id: UUID, row: QuoteRow, request: Request) -> None:
    now = await db_now(conn)
    state = QUOTES.move(row.state, "view")
    await quotes.update(conn, row._replace(state=state, viewed_at=now, updated_at=now))
    await append_entry(conn, org_id, row.id, "viewed", now, _origin(request))


async def _is_accepted(request: Request, conn: Connection, quote_id: UUID) -> bool:
    """Return whether a quote is accepted, and its link still shows so."""
    row = await quotes.find(conn, quote_id)
    if row is None or row.state != "accepted" or row.link_ended_at is not None:
        return False
    assert row.decided_at is not None  # an accepted quote has it
    days = request.app.state.api.settings.accepted_link_days
    return await db_now(conn) < row.decided_at + timedelta(days=days)


async def _kept(request: Request, token: str) -> StoredEvidence:
    """Return what is kept of a quote whose link is open. Raises _ClosedError."""
    org_id, quote_id = await _opened(request, token)
    async with reading(request.app.state.api.connections, org_id) as conn:
        if not await _is_accepted(request, conn, quote_id):
            _check_open(await quotes.find(conn, quote_id))
        return await evidence.get(conn, org_id, quote_id)


def _pdf(content: bytes, name: str) -> Response:
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(content, media_type="application/pdf", headers=headers)


async def _accepted(conn: Connection, org_id: UUID, quote_id: UUID, token: str) -> Response:
    """Show a quote with its acceptance."""
    kept = await evidence.get(conn, org_id, quote_id)
    said = acceptance_in(kept.chain)
    assert said is not None  # its evidence was written with it
    document, files = read_document(kept.files.document), kept.files
    return accepted_page(
        document, files.logo, token, said, has_pdf=files.acceptance_pdf is not None
    )


async def _shown(
    conn: Connection, org_id: UUID, quote_id: UUID, token: str, fault: str = ""
) -> Response:
    kept = await evidence.get(conn, org_id, quote_id)
    return quote_page(read_document(kept.files.document), kept.files.logo, token, fault=fault)


async def _fault_of(
    state: ApiState, org_id: UUID, answer: CustomerAnswer
) -> tuple[str, bytes | None]:
    """Return the name of what is said about an acceptance that lacks something, or the PNG of its
    signature if one is drawn. Raises Problem (429, 503) where too many are decoded at once.
    """
    if not _line(answer.name, _MAX_NAME):
        return "page-fault-name", None
    if answer.consent != "yes" or answer.consent_version != CONSENT_VERSION:
        return "page-fault-consent", None
    if not answer.signature:
        return "", None
    try:
        drawing = answer.signature.removeprefix(_DATA_URL)
        return "", await decoded_signature(state, org_id, drawing)
    except SignatureError:
        return "page-fault-signature", None


def _line(text: str, most: int) -> str:
    return " ".join(text.replace("\x00", "").split())[:most]


def _is_ahead(request: Request) -> bool:
    """Return whether a browser fetches a page before its user asks for it."""
    purposes = (request.headers.get(name, "").lower() for name in _PURPOSES)
    return any("prefetch" in purpose or "preview" in purpose for purpose in purposes)


def _origin(request: Request) -> dict[str, Any]:
    """Return where a request comes from, as far as it says so."""
    agent = request.headers.get("user-agent", "")[:_MAX_AGENT]
    return {"ip": "" if request.client is None else request.client.host, "user_agent": agent}
