"""Settings of the API role, from the environment (`OPSC_...`), frozen."""

import re
import ssl
from typing import Annotated, Self

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import NoDecode

from archive.store import ArchiveUrl, StoreUrl
from db.core.connect import DATABASE_URL_FORM, check_addresses, check_url
from db.core.secrets import SECRET_KEYS_FORM, SecretKeys, read_secret_keys
from service.settings import ReadableFile, RoleSettings, checked_by
from service.tcp import is_loopback

_ADDRESS = r"^(\[[0-9A-Fa-f:.]+\]|[^\[\]:\s]+):\d{1,5}$"


class ApiSettings(RoleSettings):
    """The settings of one API process. Raises pydantic.ValidationError naming each fault."""

    database_url: Annotated[SecretStr, Field(description=DATABASE_URL_FORM), checked_by(check_url)]
    database_read_url: Annotated[
        Annotated[SecretStr, checked_by(check_addresses)] | None,
        Field(
            description="a URL like postgresql://host:port without a login, with commas between"
            " several host:port"
        ),
    ] = None
    secret_key: Annotated[
        SecretStr, Field(description=SECRET_KEYS_FORM), checked_by(read_secret_keys)
    ]
    api_host: str = "127.0.0.1"
    api_port: Annotated[int, Field(ge=0, le=65535)] = 8000
    api_processes: Annotated[int, Field(ge=1, le=64)] = 1
    api_http: Annotated[str, Field(pattern=_ADDRESS)] = "127.0.0.1:9103"
    api_max_database_connections: Annotated[int, Field(ge=1, le=200)] = 10
    api_statement_timeout_s: Annotated[float, Field(gt=0, le=600)] = 15
    api_request_timeout_s: Annotated[float, Field(gt=0, le=600)] = 30
    api_body_timeout_s: Annotated[float, Field(gt=0, le=600)] = 60
    api_allowed_origins: Annotated[tuple[str, ...] | None, NoDecode] = None
    api_user_requests_per_minute: Annotated[int, Field(ge=10, le=1_000_000)] = 1200
    api_address_requests_per_minute: Annotated[int, Field(ge=10, le=1_000_000)] = 600
    api_max_live_connections: Annotated[int, Field(ge=0, le=100_000)] = 10_000
    access_token_lifetime_s: Annotated[int, Field(ge=60, le=86400)] = 3600
    refresh_token_lifetime_s: Annotated[int, Field(ge=300, le=7_776_000)] = 2_592_000
    session_idle_s: Annotated[int, Field(ge=300, le=604_800)] = 43_200
    session_lifetime_s: Annotated[int, Field(ge=300, le=7_776_000)] = 604_800
    api_proxy_networks: str = "127.0.0.1,::1"
    allow_plain_http: bool = False
    operator_contact: Annotated[str, Field(max_length=200)] | None = None
    public_url: Annotated[
        str,
        Field(
            pattern=r"^https?://[^\s/]+[^\s]*$", description="a URL like https://ops.example.com"
        ),
    ] = "http://127.0.0.1:8000"
    map_tiles: Annotated[
        Annotated[
            str,
            Field(
                pattern=r"^https?://[a-z0-9.-]+(:\d{1,5})?/[^\s\"']*(\{z\}[^\s\"']*|\.json)$",
                max_length=1_000,
            ),
        ]
        | None,
        Field(
            description="a URL like https://tiles.example.com/{z}/{x}/{y}.png, or of a MapLibre"
            " style like https://tiles.example.com/style.json"
        ),
    ] = None
    map_attribution: Annotated[str, Field(max_length=500)] | None = None
    tls_cert: ReadableFile | None = None
    tls_key: ReadableFile | None = None
    webhook_allow_loopback: bool = False
    zones_over_one_place: Annotated[int, Field(ge=1, le=10_000)] = 200
    accepted_link_days: Annotated[int, Field(ge=1, le=3_650)] = 90
    archive_url: ArchiveUrl | None = None
    attachments_quota_bytes: Annotated[int, Field(ge=0, le=2**50)] = 2**30

    @field_validator("api_allowed_origins", mode="before")
    @classmethod
    def _are_origins(cls, value: object) -> tuple[str, ...]:
        """Split a list with commas. An origin is scheme and host, and a port where it
        is another.
        """
        origins = tuple(value.replace(",", " ").split()) if isinstance(value, str) else ()
        for origin in origins:
            if not re.fullmatch(r"https?://[a-z0-9.-]+(:[0-9]{1,5})?", origin):
                raise ValueError(f"{origin} is not an origin like https://app.example.com")
        return origins

    @model_validator(mode="after")
    def _certificate_and_key_go_together(self) -> Self:
        if (self.tls_cert is None) != (self.tls_key is None):
            raise ValueError("OPSC_TLS_CERT and OPSC_TLS_KEY: must be set together")
        if self.tls_cert is not None:
            try:
                ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(self.tls_cert, self.tls_key)
            except OSError as error:
                reason = f"cannot be read as a certificate and its key: {error}"
                raise ValueError(f"OPSC_TLS_CERT and OPSC_TLS_KEY: {reason}") from None
        return self

    @model_validator(mode="after")
    def _nobody_is_offered_clear_text(self) -> Self:
        """Check that other machines reach TLS, or a proxy of another machine that has it."""
        networks = [one.strip() for one in self.api_proxy_networks.split(",")]
        if not (
            is_loopback(self.api_host)
            or self.tls_cert is not None
            or self.allow_plain_http
            or any(one and not is_loopback(one.partition("/")[0]) for one in networks)
        ):
            raise ValueError(
                f"OPSC_API_HOST: other machines reach {self.api_host} in clear text. Set"
                " OPSC_TLS_CERT and OPSC_TLS_KEY; or OPSC_API_PROXY_NETWORKS to the address of the"
                " proxy that speaks TLS; or OPSC_ALLOW_PLAIN_HTTP=1"
            )
        return self

    @property
    def page_addresses(self) -> list[tuple[str, int]]:
        """Hosts and ports behind OPSC_API_HTTP, of which each worker takes one."""
        host, _, port = self.api_http.rpartition(":")
        ports = range(int(port), int(port) + self.api_processes)
        return [(host.strip("[]"), port) for port in ports]

    @property
    def archive_store(self) -> StoreUrl | None:
        """The store behind OPSC_ARCHIVE_URL."""
        url = self.archive_url
        return None if url is None else StoreUrl.read(url.get_secret_value())

    @property
    def secret_keys(self) -> SecretKeys:
        """The ring of keys behind OPSC_SECRET_KEY."""
        return read_secret_keys(self.secret_key.get_secret_value())
