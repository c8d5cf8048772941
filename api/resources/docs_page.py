"""The OpenAPI document and the reference page of it at `/docs`, Swagger UI, all from this server.
`/v1` leads there.

The page works without internet, and its policy lets it load nothing from elsewhere and run no
script that stands in a page. Swagger UI itself comes with the package fastapi-offline.

The document takes most of a second to make, so that is done once in a process.
"""

from importlib.metadata import version
from importlib.resources import files
from pathlib import Path

import fastapi_offline
import msgspec
from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from api.http.answers.fixed_answers import FixedAnswer
from api.http.errors import DOCUMENTATION
from api.http.headers import wants_page
from api.request.route import FixedRoute

router = APIRouter(route_class=FixedRoute, include_in_schema=False)
_STATIC = Path(str(files(fastapi_offline))) / "static"
# Swagger UI writes style attributes.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:;"
    " connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_A_DAY = {"Cache-Control": "public, max-age=86400"}
_PAGE_HTML = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>OPS Companion API</title>
<link rel="icon" href="docs/icon.png">
<link rel="stylesheet" href="docs/swagger-ui.css">
<div id="reference"></div>
<script src="docs/swagger-ui-bundle.js"></script>
<script src="docs/start.js"></script>
"""
_START_JS = """SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#reference",
  deepLinking: true,
  docExpansion: "none",
  filter: true,
  validatorUrl: null,
});
"""


_FRONT_FACTS = {
    "name": "OPS Companion",
    "version": version("ops-companion"),
    "documentation": DOCUMENTATION,
    "openapi": "/openapi.json",
    "api": "/v1",
}


def _file(name: str, media_type: str) -> FixedAnswer:
    """Return a file of Swagger UI."""
    return FixedAnswer(lambda _: (_STATIC / name).read_bytes(), media_type, _A_DAY)


_FRONT = FixedAnswer(lambda _: msgspec.json.encode(_FRONT_FACTS), "application/json")
_DOCUMENT = FixedAnswer(
    lambda request: msgspec.json.encode(request.app.openapi()),
    "application/json",
    {"Cache-Control": "no-cache"},  # to be kept, and asked for by its tag
)
_PAGE = FixedAnswer(
    lambda _: _PAGE_HTML.encode(), "text/html", {"Content-Security-Policy": _POLICY}
)
_START = FixedAnswer(lambda _: _START_JS.encode(), "text/javascript", _A_DAY)
_SCRIPT = _file("swagger-ui-bundle.js", "text/javascript")
_STYLE = _file("swagger-ui.css", "text/css")
_ICON = _file("favicon.png", "image/png")


@router.get("/")
async def root(request: Request) -> Response:
    """Lead a browser to the web application, and answer programs as `/v1` does."""
    if wants_page(request.headers):
        return RedirectResponse("/app/", status_code=307)
    return await _FRONT.response(request)


@router.get("/v1")
async def front(request: Request) -> Response:
    """Answer with name, version, and where to read on."""
    return await _FRONT.response(request)


@router.get("/openapi.json")
async def document(request: Request) -> Response:
    """Answer with the document."""
    return await _DOCUMENT.response(request)


@router.get(DOCUMENTATION)
async def page(request: Request) -> Response:
    """Return the page."""
    return await _PAGE.response(request)


@router.get("/docs/start.js")
async def start(request: Request) -> Response:
    """Answer with the script that starts Swagger UI."""
    return await _START.response(request)


@router.get("/docs/swagger-ui-bundle.js")
async def script(request: Request) -> Response:
    """Answer with Swagger UI."""
    return await _SCRIPT.response(request)


@router.get("/docs/swagger-ui.css")
async def style(request: Request) -> Response:
    """Answer with the style sheet of the page."""
    return await _STYLE.response(request)


@router.get("/docs/icon.png")
async def icon(request: Request) -> Response:
    """Answer with the icon of the page."""
    return await _ICON.response(request)
