"""The page that a printed inspection refers to: its photos in full size, for those who sign in.

The page itself says nothing of the inspection and is the same for everybody, in the language of
their browser. Its script reads the form and the photos through the API, by the session of whoever
is signed in, and asks others to sign in. So the link holds no secret, and the API alone decides who
sees what.
"""

from html import escape
from importlib.resources import files
from typing import Annotated

from fastapi import APIRouter, Path
from starlette.requests import Request
from starlette.responses import Response

from api.http import fields
from api.http.answers.fixed_answers import FixedAnswer
from api.http.encoding import id_text
from api.http.headers import liked_language
from api.request.route import FixedRoute, PublicRoute
from languages.catalogue import say

_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self';"
    " form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS = {"Content-Security-Policy": _POLICY, "X-Robots-Tag": "noindex, nofollow"}
_A_DAY = {"Cache-Control": "public, max-age=86400"}
_FILE = files("api.resources.inspections").joinpath("photo_page.js")
_SCRIPT = FixedAnswer(lambda _: _FILE.read_bytes(), "text/javascript", _A_DAY)
_PAGE = """<!doctype html>
<html lang="{language}">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<link rel="stylesheet" href="/quotes/assets/page.css">
<main>
<h1>{title}</h1>
<p id="note" role="status">{need_script}</p>
<form id="sign-in" hidden>
<label>{email}
<input type="text" inputmode="email" name="email" required autocomplete="username"></label>
<label>{password}
<input type="password" name="password" required autocomplete="current-password"></label>
<label>{organization} <code>org_...</code>
<input type="text" name="organization_id"></label>
<button>{sign_in}</button>
</form>
<div id="photos" data-form="{form_id}" data-asked="{asked}" data-count="{count}" data-each="{each}"
 data-failed="{failed}"></div>
</main>
<script src="/inspection-photos/assets/photo_page.js"></script>
"""
router = APIRouter(prefix="/inspection-photos", route_class=PublicRoute, include_in_schema=False)
_fixed = APIRouter(prefix="/inspection-photos", route_class=FixedRoute, include_in_schema=False)


@_fixed.get("/assets/photo_page.js")
async def photo_page_script(request: Request) -> Response:
    """Answer with the script of the page."""
    return await _SCRIPT.response(request)


router.routes.extend(_fixed.routes)


@router.get("/{id}")
async def see_photos(
    request: Request, form_id: Annotated[fields.InspectionFormId, Path(alias="id")]
) -> Response:
    """Answer with the page."""
    language = liked_language(request.headers)
    texts = {
        "title": say(language, "photos-title"),
        "need_script": say(language, "photos-need-script"),
        "asked": say(language, "photos-asked"),
        "email": say(language, "photos-email"),
        "password": say(language, "photos-password"),
        "organization": say(language, "photos-organization"),
        "sign_in": say(language, "photos-sign-in"),
        "count": say(language, "photos-count"),
        "each": say(language, "photos-each"),
        "failed": say(language, "photos-failed"),
        "form_id": id_text("insp", form_id),
        "language": language,
    }
    page = _PAGE.format(**{name: escape(text) for name, text in texts.items()})
    return Response(page, media_type="text/html", headers=_HEADERS)
