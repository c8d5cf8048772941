"""The access log: one line a request, without a secret.

Of the query, a value is shown where its name is a parameter of the API, and masked otherwise. What
looks like a secret of ours is masked wherever it stands.
"""

import re
from collections.abc import Container
from typing import TYPE_CHECKING, Any

from starlette.types import Scope

from telemetry.ids import format_id

if TYPE_CHECKING:
    from api.auth.caller import Caller

_MOST_CHARACTERS = 500
# API keys and their kin, webhook secrets, access tokens.
_SECRET = re.compile(r"(?:ops[a-z]_|whsec_|eyJ)[\w.~+/%-]{16,}")
_CREDENTIALS = {"api_key": "key", "token": "sgn", "session": "sgn"}


def request_line(
    scope: Scope,
    parameters: Container[str],
    *,
    status: int | None,
    sent_bytes: int,
    elapsed_s: float,
) -> dict[str, Any]:
    """Return the fields of the line. `parameters`: the names whose values are shown.

    The client's address is that of `X-Forwarded-For` where a trusted proxy has set it. A status of
    None means that the client was gone before an answer.
    """
    client = scope.get("client")
    line: dict[str, Any] = {
        "client": None if client is None else client[0],
        "method": scope["method"],
        "path": _masked(scope["raw_path"].decode("latin-1")),
        "status": status,
        "elapsed_ms": round(elapsed_s * 1000, 1),
        "sent_bytes": sent_bytes,
    }
    if scope["query_string"]:
        line["query"] = _masked(_query(scope["query_string"].decode("latin-1"), parameters))
    caller: Caller | None = scope["state"].get("caller")
    return line if caller is None else line | _who(caller)


def _who(caller: "Caller") -> dict[str, str]:
    return {
        "organization": format_id("org", caller.org_id),
        "user": format_id("usr", caller.user_id),
        "credential": format_id(_CREDENTIALS[caller.via], caller.credential_id),
    }


def _query(query: str, parameters: Container[str]) -> str:
    shown: list[str] = []
    for part in query.split("&"):
        name, equals, _ = part.partition("=")
        unknown = f"{name}=***" if equals else "***"
        shown.append(part if name in parameters else unknown)
    return "&".join(shown)


def _masked(text: str) -> str:
    masked = _SECRET.sub("***", text)
    return masked if len(masked) <= _MOST_CHARACTERS else f"{masked[:_MOST_CHARACTERS]}..."
