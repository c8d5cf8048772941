"""The start of a role: its settings are read from the environment, and its log begins."""

import os
from typing import TypeVar

import structlog
from pydantic import ValidationError

from service import logs
from service.former_settings import rename_former
from service.settings import RoleSettings
from service.wrong_settings import explained

_Settings = TypeVar("_Settings", bound=RoleSettings)
_log = structlog.get_logger("settings")


class RefusedSettings(Exception):
    """Settings that a role refuses. The text has a line for each fault."""


def read_settings(role: type[_Settings]) -> _Settings:
    """Read the settings of a role, and configure the log by them. Raises RefusedSettings."""
    former = rename_former(os.environ)
    try:
        settings = role()
    except ValidationError as error:
        lines = [*former.faults, explained(role, error), *former.warnings]
        raise RefusedSettings("\n".join(lines)) from None
    if former.faults:
        raise RefusedSettings("\n".join(former.faults))
    logs.configure(settings.log_level, settings.log_format)
    for variable, name in former.todays.items():
        _log.warning("setting has a former name", variable=variable, use=name)
    return settings
