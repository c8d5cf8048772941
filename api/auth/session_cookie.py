"""The dashboard's session cookie, and what keeps other sites from using it.

The cookie is a random secret of its own kind: it is no bearer token, and no token or key is a
cookie. It is HttpOnly and SameSite=Strict; over TLS it is Secure and has the prefix `__Host-`, so
that no other host can have set it. A request that changes something must also bring the session's
CSRF token in `X-CSRF-Token`, and must not come from another origin by what the browser says of it.
"""

import base64
import hmac
from hashlib import sha256

from starlette.requests import HTTPConnection, Request
from starlette.responses import Response

from api.auth.caller import SAFE_METHODS
from api.http.problems import Problem
from db.core.secrets import SecretKeys, derived_keys

CSRF_HEADER = "X-CSRF-Token"
_NAME = "opsc_session"


class Cookies:
    """Sets, reads and clears it. `is_secure`: TLS ends before us, whatever a request says."""

    def __init__(self, secret_keys: SecretKeys, *, is_secure: bool) -> None:
        self._keys = derived_keys(secret_keys, b"csrf")
        self._is_secure = is_secure

    def read(self, request: HTTPConnection) -> str | None:
        """Return the session's secret, where the request has one."""
        return request.cookies.get(self._name(request)) or None

    def write(self, request: Request, response: Response, secret: str, lifetime_s: int) -> None:
        """Give the browser a cookie; a lifetime of 0 takes it away."""
        response.set_cookie(
            self._name(request),
            secret,
            max_age=lifetime_s,
            path="/",
            secure=self._secure(request),
            httponly=True,
            samesite="strict",
        )

    def csrf_token(self, secret: str) -> str:
        """Return the token that goes with a session: who cannot read our answers cannot know it."""
        return self._csrf_token(self._keys[0], secret)

    def check(self, request: Request, secret: str) -> None:
        """Raise Problem (403) for a request that may have been made by another site."""
        if request.method in SAFE_METHODS:
            return
        check_origin(request)
        given = request.headers.get(CSRF_HEADER, "").encode("utf-8", "surrogatepass")
        good = [self._csrf_token(key, secret).encode("ascii") for key in self._keys]
        if not any(hmac.compare_digest(given, good_mark) for good_mark in good):
            raise Problem(
                403, "csrf_failed", f"The header {CSRF_HEADER} must have the session's csrf_token."
            )

    def _csrf_token(self, key: bytes, secret: str) -> str:
        digest = hmac.new(key, secret.encode("utf-8", "surrogatepass"), sha256).digest()
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode("ascii")

    def _name(self, request: HTTPConnection) -> str:
        return f"__Host-{_NAME}" if self._secure(request) else _NAME

    def _secure(self, request: HTTPConnection) -> bool:
        return self._is_secure or request.url.scheme in ("https", "wss")


def check_origin(request: HTTPConnection) -> None:
    """Raise Problem (403) where the browser says that another site made the request."""
    site = request.headers.get("sec-fetch-site")
    origin = request.headers.get("origin")
    if site not in (None, "same-origin") or (
        site is None
        and origin is not None
        and origin.partition("://")[2] != request.headers.get("host")
    ):
        raise Problem(403, "csrf_failed", "The request comes from another site.")
