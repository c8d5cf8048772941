"""Settings of the delivering role, from the environment (`OPSC_...`), frozen."""

from pathlib import Path
from typing import Annotated

from pydantic import Field, SecretStr

from archive.store import ArchiveUrl, StoreUrl
from db.core.connect import DATABASE_URL_FORM, check_url
from db.core.secrets import SECRET_KEYS_FORM, SecretKeys, read_secret_keys
from service.health import read_address
from service.settings import HttpAddress, RoleSettings, checked_by
from webhooks.mail.senders import SMTP_URL_FORM, SmtpServer


class DeliverSettings(RoleSettings):
    """The settings of one delivering process. Raises pydantic.ValidationError."""

    database_url: Annotated[SecretStr, Field(description=DATABASE_URL_FORM), checked_by(check_url)]
    secret_key: Annotated[
        SecretStr, Field(description=SECRET_KEYS_FORM), checked_by(read_secret_keys)
    ]
    deliver_http: HttpAddress = "127.0.0.1:9102"
    webhook_allow_loopback: bool = False
    webhook_timeout_s: Annotated[float, Field(gt=0, le=60)] = 15
    mail_folder: Path = Path("var/mail")
    mail_smtp_url: Annotated[
        SecretStr | None, Field(description=SMTP_URL_FORM), checked_by(SmtpServer.read)
    ] = None
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

    archive_url: ArchiveUrl | None = None
    archive_after_days: Annotated[int, Field(ge=31, le=36_500)] = 90
    retention_attempts_days: Annotated[int, Field(ge=1, le=3_650)] = 30
    webhook_disable_after_hours: Annotated[float, Field(ge=1, le=8_760)] = 120

    @property
    def archive_store(self) -> StoreUrl | None:
        """The store behind OPSC_ARCHIVE_URL."""
        url = self.archive_url
        return None if url is None else StoreUrl.read(url.get_secret_value())

    @property
    def secret_keys(self) -> SecretKeys:
        """The ring of keys behind OPSC_SECRET_KEY."""
        return read_secret_keys(self.secret_key.get_secret_value())

    @property
    def http_address(self) -> tuple[str, int]:
        """Host and port behind OPSC_DELIVER_HTTP."""
        return read_address(self.deliver_http)
