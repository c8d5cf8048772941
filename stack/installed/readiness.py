"""The page /readyz of a role: whether it can do its work."""

from __future__ import annotations

import urllib.error

import msgspec

from service.health import STANDS_BY
from stack.host.pages import open_page
from stack.servers.tls import pinned

TIMEOUT_S = 3
PAGE_LIMIT_BYTES = 65_536


class _Page(msgspec.Struct):
    """The answer of /readyz; `detail` where it is a problem of the API."""

    status: str | int
    warnings: list[str] = []
    detail: str | None = None


def readiness(url: str, certificate: str | None) -> tuple[bool, str]:
    """Return whether a role says that it can do its work, or stands by, and what else it says."""
    try:
        tls = pinned(certificate)
    except PermissionError:
        return True, f"not asked: {certificate} can be read by root only"
    except OSError as error:
        return False, f"{certificate}: {error.strerror or error}"
    try:
        try:
            with open_page(url, TIMEOUT_S, tls) as answer:
                text, is_ready = answer.read(PAGE_LIMIT_BYTES), True
        except urllib.error.HTTPError as answer:
            text, is_ready = answer.read(PAGE_LIMIT_BYTES), False
        page = msgspec.json.decode(text, type=_Page)
    except msgspec.DecodeError:
        return False, f"{url} answers something else"
    except OSError as error:
        return False, str(error)
    state = "; ".join([page.detail or str(page.status), *page.warnings])
    return is_ready or page.status == STANDS_BY, state
