"""The pages of other origins that may read answers (CORS, of the Fetch standard).

None, unless their origin is set. Cookies are never asked for from elsewhere: a page of another
origin brings a token. A preflight is an OPTIONS request like any other; these headers tell the
browser what the Allow of its answer means.
"""

from collections.abc import Collection

from starlette.datastructures import Headers, MutableHeaders

_EXPOSED = (
    "ETag, Idempotency-Replayed, Location, RateLimit, RateLimit-Policy, Retry-After, X-Request-Id"
)
_ALLOWED = (
    "Accept, Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match, X-Request-Id"
)
_PREFLIGHT_KEPT_S = 600


def add_cross_origin(
    answer: MutableHeaders, origins: Collection[str], method: str, asked: Headers
) -> None:
    """Add what the origin that asks may do; nothing where it may not."""
    answer.add_vary_header("Origin")
    origin = asked.get("origin")
    if origin not in origins or origin is None:
        return
    answer["Access-Control-Allow-Origin"] = origin
    if method == "OPTIONS" and "access-control-request-method" in asked:
        answer["Access-Control-Allow-Methods"] = answer.get("allow", "")
        answer["Access-Control-Allow-Headers"] = _ALLOWED
        answer["Access-Control-Max-Age"] = str(_PREFLIGHT_KEPT_S)
    else:
        answer["Access-Control-Expose-Headers"] = _EXPOSED
