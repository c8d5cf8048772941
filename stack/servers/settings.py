"""The names of all `OPSC_*` variables that something reads.

Those of the roles are the fields of their settings; those of the commands stand here.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from pydantic import ValidationError
from pydantic_settings import BaseSettings

from api.settings import ApiSettings
from ingest.settings import IngestSettings
from listener.settings import ListenSettings
from service.former_settings import rename_former
from service.wrong_settings import explained
from stack.errors import StackError
from webhooks.settings import DeliverSettings

# By the command that runs the role.
ROLES: Mapping[str, type[BaseSettings]] = {
    "listen": ListenSettings, "ingest": IngestSettings, "api": ApiSettings,
    "deliver": DeliverSettings,
}  # fmt: skip
# What `opsc up` sets by itself, for settings that are wrong without it.
_SET_BY_UP = {"OPSC_INGEST_LINK": "unix:/run/opsc/ingest.sock"}
OF_COMMANDS = frozenset(
    {
        "OPSC_API_KEY",
        "OPSC_API_URL",
        "OPSC_SERVERS_DIR",
        "OPSC_TEST_CHROMIUM",
        "OPSC_TEST_DATA",
        "OPSC_TEST_VECTORS",
    }
)


def known_variables() -> frozenset[str]:
    """Return every variable that a role or a command reads."""
    fields = (f"OPSC_{name}".upper() for role in ROLES.values() for name in role.model_fields)
    return OF_COMMANDS.union(fields)


class WrongSettings(StackError):
    """A variable of the environment has a value that its role would refuse."""

    exit_code = 2


def use_todays_names(say: Callable[[str], None]) -> None:
    """Give the variables of our environment that have a former name that of today, and say so.
    Raises WrongSettings where both names are given, with different values.
    """
    former = rename_former(os.environ)
    for warning in former.warnings:
        say(warning)
    if former.faults:
        raise WrongSettings("\n".join(former.faults))


def unread_variables(given: Iterable[str] = os.environ) -> dict[str, str | None]:
    """Return the variables that are set and that nothing reads, with the known name near each."""
    known = sorted(known_variables())
    unread = sorted(name for name in given if name.startswith("OPSC_") and name not in known)
    near = {name: difflib.get_close_matches(name, known, n=1) for name in unread}
    return {name: names[0] if names else None for name, names in near.items()}


def wrong_settings(variables: Mapping[str, str]) -> list[str]:
    """Return a line for each variable that a role would refuse. Those that are missing do not
    count: `opsc up` sets them.
    """
    lines: dict[str, None] = {}
    for role in ROLES:
        lines |= dict.fromkeys(refused_settings(role, {**variables, **_SET_BY_UP}))
    return [line for line in lines if ": is missing" not in line]


def refused_settings(role: str, variables: Mapping[str, str]) -> list[str]:
    """Return a line for each of a role's own variables that it would refuse, or miss; what is set
    in our environment does not count.
    """
    fields: dict[str, Any] = {
        name.removeprefix("OPSC_").lower(): value
        for name, value in variables.items()
        if name.startswith("OPSC_")
    }
    try:
        ROLES[role](**fields, _env_prefix="NOT_OPSC_")
    except ValidationError as error:
        return explained(ROLES[role], error).splitlines()
    return []
