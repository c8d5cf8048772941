"""The web application: its pages below `/app/`, their files below `/app/static/`.

`dashboard/` is built into `api/dashboard/` (`dashboard/build.py`). Every page is the same document,
made for each request, since styles that scripts insert need a nonce; all other files have a hash in
their names, are compressed when built, and never change. Links of letters lead to its pages.
"""

import asyncio
import os
import secrets
from functools import lru_cache
from html import escape
from importlib.metadata import version
from pathlib import Path

from fastapi import APIRouter, Request
from starlette.responses import FileResponse, RedirectResponse, Response

from api.context import ApiState
from api.http.answers.compression import liked_coding
from api.http.headers import accepts_page
from api.http.problems import Problem
from api.request.route import FixedRoute
from api.settings import ApiSettings

router = APIRouter(route_class=FixedRoute, include_in_schema=False)
BUILT = Path(__file__).parents[1] / "dashboard"
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'nonce-{nonce}'; worker-src 'self';"
    " connect-src 'self'{tiles}; img-src 'self' data: blob:{tiles}; font-src 'self';"
    " base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
_FOR_EVER = {"Cache-Control": "public, max-age=31536000, immutable", "Vary": "Accept-Encoding"}
_SUFFIXES = {"br": ".br", "gzip": ".gz"}
_MEDIA_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


@router.get("/invitation")
@router.get("/password-reset")
async def page_of_letter(request: Request) -> Response:
    """Lead to the page of a letter's link. The browser keeps what stands behind the `#`."""
    return _leading(request, f"/app{request.url.path}")


@router.get("/app")
async def front_of_app(request: Request) -> Response:
    """Lead to the application."""
    return _leading(request, "/app/")


@router.get("/app/static/{name}")
async def static_file(request: Request, name: str) -> Response:
    """Return a file of the application. Raises Problem (404)."""
    media_type = _MEDIA_TYPES.get(Path(name).suffix)
    found = await asyncio.to_thread(lambda: _files(_built_at()))
    if media_type is None or name not in found:
        raise _no_page()
    headers = dict(_FOR_EVER)
    if name.endswith(".js"):  # MapLibre's worker reads the map of streets, by the policy of its own
        policy = f"default-src 'none'; connect-src 'self'{_origin_of_tiles(request)}"
        headers["Content-Security-Policy"] = policy
    coding = liked_coding(request.headers.get("accept-encoding", ""))
    if coding is not None and f"{name}{_SUFFIXES[coding]}" in found:
        headers["Content-Encoding"] = coding
        name += _SUFFIXES[coding]
    path = BUILT / "static" / name
    return FileResponse(path, headers=headers, media_type=media_type, stat_result=found[name])


@router.get("/app/{place:path}")
async def page(request: Request) -> Response:
    """Return the document of every page, to who can take a page. Raises Problem (404, 503)."""
    if request.url.path.startswith("/app/static/") or not accepts_page(request.headers):
        raise _no_page()
    built_at = await asyncio.to_thread(_built_at)
    if built_at is None:
        detail = "The web application has not been built: run make setup."
        raise Problem(503, "dashboard_not_built", detail)
    nonce = secrets.token_urlsafe(16)
    origin = _origin_of_tiles(request)
    headers = {"Content-Security-Policy": _POLICY.format(nonce=nonce, tiles=origin)}
    settings = _settings(request)
    document = await asyncio.to_thread(
        _document, built_at, settings.map_tiles or "", settings.map_attribution or ""
    )
    content = document.replace("@NONCE@", nonce)
    return Response(content, media_type="text/html", headers=headers)


def _settings(request: Request) -> ApiSettings:
    state: ApiState = request.app.state.api
    return state.settings


def _origin_of_tiles(request: Request) -> str:
    """Return where a map of streets comes from, as one more source of a policy."""
    tiles = _settings(request).map_tiles
    return "" if tiles is None else " " + "/".join(tiles.split("/")[:3])


def _leading(request: Request, path: str) -> Response:
    """Return an answer that leads to another path, with the same query."""
    query = f"?{request.url.query}" if request.url.query else ""
    return RedirectResponse(f"{path}{query}", status_code=307)


def _built_at() -> int | None:
    """Return when the application was built; None where it was not."""
    try:
        return (BUILT / "index.html").stat().st_mtime_ns
    except FileNotFoundError:
        return None


@lru_cache(maxsize=1)
def _document(built_at: int, tiles: str, attribution: str) -> str:
    text = (BUILT / "index.html").read_text()
    values = {"VERSION": version("ops-companion"), "TILES": tiles, "ATTRIBUTION": attribution}
    for name, value in values.items():
        text = text.replace(f"@{name}@", escape(value))
    return text


@lru_cache(maxsize=1)
def _files(built_at: int | None) -> dict[str, os.stat_result]:
    folder = BUILT / "static"
    return {path.name: path.stat() for path in folder.iterdir()} if folder.is_dir() else {}


def _no_page() -> Problem:
    return Problem(404, "not_found", "There is no such page.")
