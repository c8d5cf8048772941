"""The access log: one line a request, without a secret.

Of the query, a value is shown where its name is a parameter of the API, and masked otherwise. What
looks like a secret of ours is masked wherever it stands.

What one organization makes a process write is bounded, and so is what one address does without a
credential: nobody flushes the lines of others out of the files. Warnings and errors are not written
here, and are never left out.
"""

import asyncio
import re
from collections import Counter
from collections.abc import Container, Mapping
from contextvars import Context
from typing import TYPE_CHECKING, Any

import msgspec
import structlog
from starlette.types import Scope

from api.http.metrics import Metrics
from api.http.strangers import counted_address
from telemetry.ids import format_id

if TYPE_CHECKING:
    from api.auth.caller import Caller

ORGANIZATION_BYTES = 512 * 1024  # a minute: some thousand lines
STRANGER_BYTES = 128 * 1024
_MINUTE_S = 60.0
_MOST_KEYS = 10_000  # all beyond share one budget
_REST_BYTES = 130  # what each line has beside its fields

_MOST_CHARACTERS = 500
# API keys and their kin, webhook secrets, access tokens.
_SECRET = re.compile(r"(?:ops[a-z]_|whsec_|eyJ)[\w.~+/%-]{16,}")
_CREDENTIALS = {"api_key": "key", "token": "sgn", "session": "sgn"}

_log = structlog.get_logger("api")
_Whose = tuple[str, str]


class AccessLog:
    """The access log of a process. Beyond the budget of a minute, lines are counted, and one line
    says at its end how many were left out.
    """

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._written_bytes = Counter[_Whose]()
        self._left_out = Counter[_Whose]()
        self._minute: asyncio.TimerHandle | None = None

    def write(self, event: str, line: Mapping[str, Any]) -> None:
        """Write a line, which has `client`, and `organization` where it is known."""
        if self._minute is None:
            loop = asyncio.get_running_loop()
            self._minute = loop.call_later(_MINUTE_S, self.end_minute, context=Context())
        whose = _whose(line)
        if whose not in self._written_bytes and len(self._written_bytes) >= _MOST_KEYS:
            whose = ("client", "others")
        budget = ORGANIZATION_BYTES if whose[0] == "organization" else STRANGER_BYTES
        written = self._written_bytes[whose] + len(msgspec.json.encode(line)) + _REST_BYTES
        if written > budget:
            self._left_out[whose] += 1
            self._metrics.log_line_left_out(whose[0])
            return
        self._written_bytes[whose] = written
        _log.info(event, **line)

    def end_minute(self) -> None:
        """Say what was left out, and begin anew."""
        if self._minute is not None:
            self._minute.cancel()
            self._minute = None
        for (kind, name), lines in self._left_out.items():
            _log.info("lines left out", **{kind: name}, lines=lines)
        self._left_out.clear()
        self._written_bytes.clear()


def _whose(line: Mapping[str, Any]) -> _Whose:
    if organization := line.get("organization"):
        return "organization", organization
    return "client", counted_address(line["client"] or "")


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
