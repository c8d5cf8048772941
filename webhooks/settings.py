"""Settings of the delivering role, from the environment (`OPSC_...`), frozen."""

from pathlib import Path
from typing import Annotated

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from db.secretbox import read_secret_key
from service.logs import Level, LogFormat
from webhooks.senders import SmtpServer

_ADDRESS = r"^(\[[0-9A-Fa-f:.]+\]|[^\[\]:\s]+):\d{1,5}$"


class DeliverSettings(BaseSettings):
    """What one delivering process needs to know. Raises pydantic.ValidationError."""

    model_config = SettingsConfigDict(env_prefix="OPSC_", frozen=True, extra="ignore")

    database_url: SecretStr
    secret_key: SecretStr
    deliver_http: Annotated[str, Field(pattern=_ADDRESS)] = "127.0.0.1:9102"
    webhook_allow_loopback: bool = False
    webhook_timeout_s: Annotated[float, Field(gt=0, le=60)] = 15
    mail_folder: Path = Path("var/mail")
    mail_smtp_url: SecretStr | None = None
    mail_from: Annotated[str, Field(pattern=r"^[^\r\n]+@[^\r\n]+$")] = (
        "OPS Companion <no-reply@localhost>"
    )
    public_url: Annotated[str, Field(pattern=r"^https?://[^\s/]+[^\s]*$")] = "http://127.0.0.1:8000"
    log_level: Level = "info"
    log_format: LogFormat = "json"

    @field_validator("secret_key")
    @classmethod
    def _is_a_secret_key(cls, value: SecretStr) -> SecretStr:
        read_secret_key(value.get_secret_value())
        return value

    @field_validator("mail_smtp_url")
    @classmethod
    def _is_a_mail_server(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            SmtpServer.read(value.get_secret_value())
        return value

    @property
    def secret_key_bytes(self) -> bytes:
        """The 32 bytes behind OPSC_SECRET_KEY."""
        return read_secret_key(self.secret_key.get_secret_value())

    @property
    def http_address(self) -> tuple[str, int]:
        """Host and port behind OPSC_DELIVER_HTTP."""
        host, _, port = self.deliver_http.rpartition(":")
        return host.strip("[]"), int(port)
