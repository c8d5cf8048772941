"""Settings of the delivering role, from the environment (`OPSC_...`), frozen."""

from pathlib import Path
from typing import Annotated

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from db.core.connect import DATABASE_URL_FORM, check_url
from db.core.secrets import SECRET_KEY_FORM, read_secret_key
from service.health import read_address
from service.logs import Level, LogFormat
from webhooks.mail.senders import SMTP_URL_FORM, SmtpServer


class DeliverSettings(BaseSettings):
    """The settings of one delivering process. Raises pydantic.ValidationError."""

    model_config = SettingsConfigDict(env_prefix="OPSC_", frozen=True, extra="ignore")

    database_url: Annotated[SecretStr, Field(description=DATABASE_URL_FORM)]
    secret_key: Annotated[SecretStr, Field(description=SECRET_KEY_FORM)]
    deliver_http: str = "127.0.0.1:9102"
    webhook_allow_loopback: bool = False
    webhook_timeout_s: Annotated[float, Field(gt=0, le=60)] = 15
    mail_folder: Path = Path("var/mail")
    mail_smtp_url: Annotated[SecretStr | None, Field(description=SMTP_URL_FORM)] = None
    mail_from: Annotated[
        str,
        Field(pattern=r"^[^\r\n]+@[^\r\n]+$", description="an address like Ada <ada@example.com>"),
    ] = "OPS Companion <no-reply@localhost>"
    public_url: Annotated[
        str,
        Field(
            pattern=r"^https?://[^\s/]+[^\s]*$", description="a URL like https://ops.example.com"
        ),
    ] = "http://127.0.0.1:8000"
    retention_positions_days: Annotated[int, Field(ge=1, le=36_500)] | None = None
    retention_events_days: Annotated[int, Field(ge=1, le=36_500)] | None = None
    retention_audit_days: Annotated[int, Field(ge=1, le=36_500)] | None = None
    log_level: Level = "info"
    log_format: LogFormat = "json"

    @field_validator("database_url")
    @classmethod
    def _is_a_database(cls, value: SecretStr) -> SecretStr:
        check_url(value.get_secret_value())
        return value

    @field_validator("deliver_http")
    @classmethod
    def _is_an_address(cls, value: str) -> str:
        read_address(value)
        return value

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
        return read_address(self.deliver_http)
