"""The OpenAPI document and the reference page of it at `/docs`, Swagger UI, all from this server.
`/v1` leads there.

The page works without internet, and its policy lets it load nothing from elsewhere and run no
script that stands in a page. Swagger UI itself comes with the package fastapi-offline.
"""

import asyncio
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path

import fastapi_offline
from fastapi import APIRouter, Request
from starlette.responses import FileResponse, RedirectResponse, Response

from api.http.encoding import ok
from api.http.errors import DOCUMENTATION
from api.http.headers import wants_page

router = APIRouter(include_in_schema=False)
_STATIC = Path(str(files(fastapi_offline))) / "static"
# Swagger UI writes style attributes.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:;"
    " connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_A_DAY = {"Cache-Control": "public, max-age=86400"}
_PAGE = """<!doctype html>
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
_START = """SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#reference",
  deepLinking: true,
  docExpansion: "none",
  filter: true,
  validatorUrl: null,
});
"""


@router.get("/")
async def root(request: Request) -> Response:
    """Lead a browser to the web application, and answer programs as `/v1` does."""
    if wants_page(request.headers):
        return RedirectResponse("/app/", status_code=307)
    return await front()


@router.get("/v1")
async def front() -> Response:
    """Answer with name, version, and where to read on."""
    return ok(
        {
            "name": "OPS Companion",
            "version": version("ops-companion"),
            "documentation": DOCUMENTATION,
            "openapi": "/openapi.json",
            "api": "/v1",
        }
    )


@router.get("/openapi.json")
async def document(request: Request) -> Response:
    """Answer with the document. To make it takes most of a second, the first time: in a thread."""
    return ok(await asyncio.to_thread(request.app.openapi))


@router.get(DOCUMENTATION)
async def page() -> Response:
    """Return the page."""
    return Response(_PAGE, media_type="text/html", headers={"Content-Security-Policy": _POLICY})


@router.get("/docs/start.js")
async def start() -> Response:
    """Answer with the script that starts Swagger UI."""
    return Response(_START, media_type="text/javascript", headers=_A_DAY)


@router.get("/docs/swagger-ui-bundle.js")
async def script() -> Response:
    """Answer with Swagger UI."""
    return FileResponse(_STATIC / "swagger-ui-bundle.js", headers=_A_DAY)


@router.get("/docs/swagger-ui.css")
async def style() -> Response:
    """Answer with the style sheet of the page."""
    return FileResponse(_STATIC / "swagger-ui.css", headers=_A_DAY)


@router.get("/docs/icon.png")
async def icon() -> Response:
    """Answer with the icon of the page."""
    return FileResponse(_STATIC / "favicon.png", headers=_A_DAY)
