"""Settings of the listener role, from the environment (`OPSC_...`), frozen."""

from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from db.core.connect import DATABASE_URL_FORM, check_url
from service.health import read_address

Network = IPv4Network | IPv6Network
Port = Annotated[int, Field(ge=1, le=65_535)]


class ListenSettings(BaseSettings):
    """The settings of one listener. Raises pydantic.ValidationError naming each fault."""

    model_config = SettingsConfigDict(env_prefix="OPSC_", frozen=True, extra="ignore")

    database_url: Annotated[SecretStr, Field(description=DATABASE_URL_FORM)]
    listen_host: str = "127.0.0.1"
    listen_port: Annotated[int, Field(ge=0, le=65_535)] = 1883
    listen_tls_port: Port | None = None
    listen_tls12_port: Port | None = None
    tls_cert: Path | None = None
    tls_key: Path | None = None
    listen_client_ca: Path | None = None
    listen_processes: Annotated[int, Field(ge=1, le=64)] = 1
    listen_http: str = "127.0.0.1:9104"
    link_key: SecretStr = SecretStr("")
    link_ca: Path | None = None
    listen_max_connections: Annotated[int, Field(ge=1, le=1_000_000)] = 10_000
    listen_max_held_bytes: Annotated[int, Field(ge=1_048_576)] = 256 * 1024 * 1024
    listen_max_unsigned_per_address: Annotated[int, Field(ge=1)] = 64
    listen_max_failures_per_address: Annotated[int, Field(ge=1)] = 30
    listen_exempt_networks: str = ""
    listen_proxy_networks: str = ""
    listen_tracker_messages_per_s: Annotated[float, Field(gt=0)] = 1_000
    listen_tracker_bytes_per_s: Annotated[float, Field(gt=0)] = 2 * 1024 * 1024
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["json", "console"] = "json"

    @field_validator("database_url")
    @classmethod
    def _is_a_database(cls, value: SecretStr) -> SecretStr:
        check_url(value.get_secret_value())
        return value

    @field_validator("listen_http")
    @classmethod
    def _is_an_address(cls, value: str) -> str:
        read_address(value)
        return value

    @field_validator("listen_exempt_networks", "listen_proxy_networks")
    @classmethod
    def _are_networks(cls, value: str) -> str:
        _networks(value)
        return value

    @model_validator(mode="after")
    def _has_what_it_needs(self) -> Self:
        has_tls_port = self.listen_tls_port is not None or self.listen_tls12_port is not None
        if has_tls_port and (self.tls_cert is None or self.tls_key is None):
            raise ValueError("OPSC_LISTEN_TLS_PORT needs OPSC_TLS_CERT and OPSC_TLS_KEY")
        if not has_tls_port and not self.listen_port:
            raise ValueError("OPSC_LISTEN_PORT is 0, and there is no OPSC_LISTEN_TLS_PORT")
        return self

    @property
    def http_address(self) -> tuple[str, int]:
        """Host and port of the first process's page of health and metrics."""
        return read_address(self.listen_http)

    @property
    def exempt_networks(self) -> list[Network]:
        """Networks whose addresses are not counted."""
        return _networks(self.listen_exempt_networks)

    @property
    def proxy_networks(self) -> list[Network]:
        """Networks of proxies, which begin each connection with the PROXY protocol, version 2."""
        return _networks(self.listen_proxy_networks)


def _networks(text: str) -> list[Network]:
    """Read networks like `10.0.0.0/8, fd00::/8`. Raises ValueError."""
    return [ip_network(one.strip()) for one in text.split(",") if one.strip()]
