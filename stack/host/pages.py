"""Pages that our own processes answer, of health and of metrics.

No proxy of the environment is asked for them: it could not reach this machine's loopback.
"""

from __future__ import annotations

import ssl
import urllib.request
from http.client import HTTPResponse


def open_page(
    page: str | urllib.request.Request, timeout_s: float, tls: ssl.SSLContext | None = None
) -> HTTPResponse:
    """Return the answer of a GET, or of another request. Raises OSError (urllib.error.HTTPError for
    an error's status).
    """
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=tls)
    )
    return opener.open(page, timeout=timeout_s)
