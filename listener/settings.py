"""Settings of the listener role, from the environment (`OPSC_...`), frozen."""

from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Annotated, Literal, NamedTuple, Self
from uuid import UUID

from pydantic import Field, SecretStr, model_validator

from db.core.connect import DATABASE_URL_FORM, check_url
from service.amqp.address import LOG_FORM, LogAddress, log_tls
from service.health import read_address
from service.settings import HttpAddress, ReadableFile, RoleSettings, checked_by
from telemetry.ids import parse_id

Network = IPv4Network | IPv6Network
Port = Annotated[int, Field(ge=1, le=65_535)]


def _networks(text: str) -> list[Network]:
    """Read networks like `10.0.0.0/8, fd00::/8`. Raises ValueError."""
    return [ip_network(network.strip()) for network in text.split(",") if network.strip()]


def _unless_off(address: str) -> tuple[str, int] | None:
    return None if address == "off" else read_address(address)


class BoxAddress(NamedTuple):
    """A port for boxes. way: tcp, tls, tls12 or udp."""

    way: str
    host: str
    port: int


_WAYS = ("tcp", "tls", "tls12", "udp")


def _box_addresses(text: str) -> list[BoxAddress]:
    """Read addresses like `0.0.0.0:5027, tls://0.0.0.0:5028`. Raises ValueError."""
    if text == "off":
        return []
    found: list[BoxAddress] = []
    for part in map(str.strip, text.split(",")):
        way, sign, address = part.rpartition("://")
        if sign and way not in _WAYS:
            raise ValueError(
                "must be off, or addresses with commas, such as 0.0.0.0:5027, tls://0.0.0.0:5028,"
                f" tls12://0.0.0.0:5029 or udp://0.0.0.0:5027, not {part!r}"
            )
        found.append(BoxAddress(way or "tcp", *read_address(address)))
    return found


_BoxAddresses = Annotated[str, checked_by(_box_addresses)]
_Networks = Annotated[str, checked_by(_networks)]


def _tracker(text: str) -> UUID | None:
    """Read the id of a tracker, if there is one. Raises ValueError."""
    return parse_id("trk", text) if text else None


class ListenSettings(RoleSettings):
    """The settings of one listener. Raises pydantic.ValidationError naming each fault."""

    database_url: Annotated[SecretStr, Field(description=DATABASE_URL_FORM), checked_by(check_url)]
    listen_host: str = "127.0.0.1"
    listen_port: Annotated[int, Field(ge=0, le=65_535)] = 1883
    listen_tls_port: Port | None = None
    listen_tls12_port: Port | None = None
    tls_cert: ReadableFile | None = None
    tls_key: ReadableFile | None = None
    listen_client_ca: ReadableFile | None = None
    listen_processes: Annotated[int, Field(ge=1, le=64)] = 1
    listen_http: HttpAddress = "127.0.0.1:9104"
    listen_ingest_http: HttpAddress | Literal["off"] = "127.0.0.1:5055"
    listen_teltonika: _BoxAddresses = "off"
    listen_gt06: _BoxAddresses = "off"
    listen_queclink: _BoxAddresses = "off"
    listen_h02: _BoxAddresses = "off"
    listen_meitrack: _BoxAddresses = "off"
    listen_ingest_proxy_networks: _Networks = "127.0.0.1/32, ::1/128"
    link_secret: SecretStr = SecretStr("")
    link_tls_ca: ReadableFile | None = None
    log_url: Annotated[
        SecretStr | None, Field(description=LOG_FORM), checked_by(LogAddress.parse)
    ] = None
    log_tls_ca: ReadableFile | None = None
    listen_max_connections: Annotated[int, Field(ge=1, le=1_000_000)] = 10_000
    listen_max_held_bytes: Annotated[int, Field(ge=1_048_576)] = 256 * 1024 * 1024
    listen_max_unsigned_per_address: Annotated[int, Field(ge=1)] = 64
    listen_address_failures_per_minute: Annotated[int, Field(ge=1)] = 30
    listen_exempt_networks: _Networks = ""
    listen_proxy_networks: _Networks = ""
    listen_tracker_messages_per_s: Annotated[float, Field(gt=0)] = 1_000
    listen_tracker_bytes_per_s: Annotated[float, Field(gt=0)] = 2 * 1024 * 1024
    listen_show: Annotated[str, checked_by(_tracker)] = ""

    @model_validator(mode="after")
    def _has_what_it_needs(self) -> Self:
        has_tls_port = self.listen_tls_port is not None or self.listen_tls12_port is not None
        if has_tls_port and (self.tls_cert is None or self.tls_key is None):
            raise ValueError("OPSC_LISTEN_TLS_PORT needs OPSC_TLS_CERT and OPSC_TLS_KEY")
        for protocol, addresses in self.boxes.items():
            ways = {address.way for address in addresses}
            if ways & {"tls", "tls12"} and (self.tls_cert is None or self.tls_key is None):
                needs = "needs OPSC_TLS_CERT and OPSC_TLS_KEY"
                raise ValueError(f"OPSC_LISTEN_{protocol.upper()} with tls:// {needs}")
            if protocol == "gt06" and "udp" in ways:
                raise ValueError("OPSC_LISTEN_GT06 has no udp://: GT06 signs in on a connection")
        if not has_tls_port and not self.listen_port:
            raise ValueError("OPSC_LISTEN_PORT is 0, and there is no OPSC_LISTEN_TLS_PORT")
        log_tls(self.log_address, self.log_tls_ca)
        return self

    @property
    def http_address(self) -> tuple[str, int]:
        """Host and port of the first process's page of health and metrics."""
        return read_address(self.listen_http)

    @property
    def log_address(self) -> LogAddress | None:
        """The nodes of the log; None: messages go to ingest directly."""
        url = self.log_url
        return None if url is None else LogAddress.parse(url.get_secret_value())

    @property
    def ingest_address(self) -> tuple[str, int] | None:
        """Host and port for devices that send by HTTP; None: there is none."""
        return _unless_off(self.listen_ingest_http)

    @property
    def boxes(self) -> dict[str, list[BoxAddress]]:
        """The ports of each protocol of boxes."""
        return {
            "teltonika": _box_addresses(self.listen_teltonika),
            "gt06": _box_addresses(self.listen_gt06),
            "queclink": _box_addresses(self.listen_queclink),
            "h02": _box_addresses(self.listen_h02),
            "meitrack": _box_addresses(self.listen_meitrack),
        }

    @property
    def shown_tracker(self) -> UUID | None:
        """The tracker whose messages are logged, decoded."""
        return _tracker(self.listen_show)

    @property
    def exempt_networks(self) -> list[Network]:
        """Networks whose addresses are not counted."""
        return _networks(self.listen_exempt_networks)

    @property
    def proxy_networks(self) -> list[Network]:
        """Networks of proxies, which begin each connection with the PROXY protocol, version 2."""
        return _networks(self.listen_proxy_networks)

    @property
    def ingest_proxy_networks(self) -> list[Network]:
        """Networks of proxies, which name a device's address in X-Forwarded-For."""
        return _networks(self.listen_ingest_proxy_networks)
