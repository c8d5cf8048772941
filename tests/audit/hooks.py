"""Rules for schemathesis beyond the document. Loaded by its command, not by our tests.

- A cursor is opaque, and an Idempotency-Key stands for one request: one that is made up, or used
  again, is rightly refused. So a request that is meant to be valid has no cursor and a new key.
  Rows with `fields` have fewer than the document says, so it is not sent either.
- Bodies have exact types: 24.0 is no whole number, although JSON Schema says it is one.
- Who asks stays signed in: a request on their own user is one on the other organization's.
- Every fourth request on one thing asks for the thing of another organization instead, whose ids
  and name stand in the file `AUDIT_FOREIGN`. None of them may succeed, and no answer to any
  request may have that name or those ids, the one that was asked for apart.
"""

import json
import os
from itertools import count
from pathlib import Path
from typing import Any

import schemathesis

_foreign = json.loads(Path(os.environ["AUDIT_FOREIGN"]).read_text())
_ids: dict[str, str] = _foreign["ids"]
_numbers = count()


def _exact(value: Any) -> Any:
    """Return a value in whose depth floats that are whole numbers are integers."""
    match value:
        case dict():
            return {name: _exact(each) for name, each in value.items()}
        case list():
            return [_exact(each) for each in value]
        case float() if value.is_integer():
            return int(value)
    return value


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: dict[str, Any]) -> None:
    number = next(_numbers)
    if case.meta is not None and case.meta.generation.mode.is_positive:
        if case.query:
            case.query.pop("cursor", None)
            case.query.pop("fields", None)
            case.query.pop("total", None)
        if "Idempotency-Key" in (case.headers or {}):
            case.headers["Idempotency-Key"] = f"audit-{number}"
        case.body = _exact(case.body)
    prefix = str((case.path_parameters or {}).get("id", "")).partition("_")[0]
    own = (case.path_parameters or {}).get("id") == _foreign["own_user"]
    if prefix in _ids and (own or number % 4 == 0):
        case.path_parameters["id"] = _ids[prefix]


@schemathesis.check
def nothing_of_another_organization(context: Any, response: Any, case: Any) -> None:
    asked = str((case.path_parameters or {}).get("id", ""))
    if asked in _ids.values() and case.method != "OPTIONS":
        assert 400 <= response.status_code < 500, "a thing of another organization was reached"
    said = response.content.decode(errors="replace")
    for known in (_foreign["name"], *_ids.values()):
        assert known == asked or known not in said, f"{known} was given away"
