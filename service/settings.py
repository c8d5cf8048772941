"""Settings that every role has, and checks of settings."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from service.health import read_address
from service.logs import Level, LogFormat


class RoleSettings(BaseSettings):
    """The settings of a role's process, from the environment (`OPSC_...`), frozen."""

    model_config = SettingsConfigDict(env_prefix="OPSC_", frozen=True, extra="ignore")

    log_level: Level = "info"
    log_format: LogFormat = "json"


def checked_by(read: Callable[[str], object]) -> AfterValidator:
    """Return a validator that accepts a text which `read` reads without a ValueError, or None."""

    def check(value: SecretStr | str | None) -> SecretStr | str | None:
        if value is not None:
            read(value.get_secret_value() if isinstance(value, SecretStr) else value)
        return value

    return AfterValidator(check)


def _readable(path: Path) -> Path:
    try:
        path.open("rb").close()
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}") from None
    return path


ReadableFile = Annotated[Path, AfterValidator(_readable)]
"""A file that this process can read; the error names the file."""

HttpAddress = Annotated[str, checked_by(read_address)]
"""Host and port of a page of health and metrics."""
