"""Changes of audit events as the API shows them: ids as everywhere else, in place of UUIDs.

What is stored stays as it was written. The name of a column, or of a member of a JSON value, says
of which kind its ids are.
"""

import re
from collections.abc import Mapping
from typing import Any
from uuid import UUID

import msgspec

from api.http.encoding import id_text
from db.requests.audit import AuditEvent
from db.resources.kinds import KINDS

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
# Those of `<kind>_id` and `<kind>_ids`, of `..._by`, which is a user, and these.
_PREFIXES: Mapping[str, str] = {
    **{kind.name: kind.prefix for kind in KINDS.values()},
    "parent": KINDS["work_order"].prefix,
    "template": KINDS["inspection_template"].prefix,
    "supersedes": KINDS["inspection_form"].prefix,
    "superseded_by": KINDS["inspection_form"].prefix,
    "recipient": KINDS["user"].prefix,
    "punch_site": KINDS["site"].prefix,
}
_NAMED: Mapping[str, str] = {
    "by": KINDS["user"].prefix,  # of an item of a checklist
    "registered_by": KINDS["gateway"].prefix,
    "ids": KINDS["asset"].prefix,  # of the assets of a zone
    "labour_rates": KINDS["employee"].prefix,  # of a work order: the names of its members
}
# The kinds of rows that are a part of a resource and have ids of their own.
_PARTS: Mapping[str, str] = {
    "timesheet_adjustments": KINDS["adjustment"].prefix,
    "work_order_comments": KINDS["work_order_comment"].prefix,
}


def shown_changes(event: AuditEvent) -> dict[str, Any]:
    """Return the changes of an event with the ids of the API."""
    changes: dict[str, dict[str, Any]] = msgspec.json.decode(event.changes)
    shown: dict[str, Any] = {}
    for column, change in changes.items():
        prefix = column_prefix(event.resource_type, event.table_name, column)
        shown[column] = {name: _shown(value, prefix) for name, value in change.items()}
    return shown


def column_prefix(resource_type: str, table: str, column: str) -> str | None:
    """Return the prefix of the ids in a column; None where its UUIDs are no ids of the API."""
    if column != "id":
        return _prefix(column)
    if table in _PARTS:
        return _PARTS[table]
    kind = KINDS[resource_type]
    return kind.prefix if kind.table in (None, table) else None


def _prefix(name: str) -> str | None:
    if name in _NAMED:
        return _NAMED[name]
    if name.endswith("_by"):
        return KINDS["user"].prefix
    kind, found, _ = name.rpartition("_id")
    return _PREFIXES.get(kind) if found else None


def _shown(value: Any, prefix: str | None) -> Any:
    """Return a value with its UUIDs as ids. The names of members may be some, too."""
    match value:
        case str() if prefix is not None and _UUID.fullmatch(value):
            return id_text(prefix, UUID(value))
        case list():
            return [_shown(each, prefix) for each in value]
        case dict():
            return {
                _shown(name, prefix): _shown(each, _prefix(name)) for name, each in value.items()
            }
    return value
