"""Wrong settings as lines for whoever set them: `OPSC_API_PORT: must be ..., not 'http'`.

The value of a secret is never shown, nor is a message of which it may be a part: a secret field
says in its `description` what would be right. In other values the login of a URL is masked.
"""

import re
import types
import typing
from collections.abc import Mapping
from typing import Any

from pydantic import SecretStr, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings

_MOST_CHARACTERS = 80  # of a value that is shown
_LOGIN = re.compile(r"(?<=://).*@")


def explained(settings: type[BaseSettings], error: ValidationError) -> str:
    """Return one line for each fault of `settings`."""
    prefix = settings.model_config.get("env_prefix", "")
    lines: list[str] = []
    for fault in error.errors(include_url=False):
        if not fault["loc"]:  # of several settings together: the text names them
            lines.append(_own_text(fault))
            continue
        name = str(fault["loc"][0])
        lines.append(f"{prefix}{name}: ".upper() + _sentence(settings.model_fields[name], fault))
    return "\n".join(lines)


def _sentence(field: FieldInfo, fault: Mapping[str, Any]) -> str:
    if fault["type"] == "missing":
        return f"is missing; it must be {field.description}" if field.description else "is missing"
    if _is_secret(field.annotation):
        return f"must be {field.description or 'another value'}"
    if fault["type"] == "value_error":
        return _own_text(fault)
    message = re.sub(r"^(Input|String|Value) should ", "must ", fault["msg"])
    if field.description:
        message = f"must be {field.description}"
    return f"{message}, not {_shown(fault['input'])}"


def _own_text(fault: Mapping[str, Any]) -> str:
    return _LOGIN.sub("***@", str(fault["msg"]).removeprefix("Value error, "))


def _shown(value: object) -> str:
    text = _LOGIN.sub("***@", str(value))
    return repr(text if len(text) <= _MOST_CHARACTERS else f"{text[:_MOST_CHARACTERS]}...")


def _is_secret(annotation: object) -> bool:
    """Return whether a field is a SecretStr, or one that may be left out."""
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return any(map(_is_secret, typing.get_args(annotation)))
    return annotation is SecretStr
