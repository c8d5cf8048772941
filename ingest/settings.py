"""Settings of the ingest role, from the environment (`OPSC_...`), frozen."""

import ssl
from typing import Annotated, Self

from pydantic import Field, SecretStr, model_validator

from db.core.connect import DATABASE_URL_FORM, check_url
from db.core.secrets import SECRET_KEYS_FORM, SecretKeys, read_secret_keys
from ingest.sources.link_address import LINK_FORM, LinkAddress
from mqtt import BrokerAddress
from service.amqp.address import LOG_FORM, LogAddress, log_tls
from service.health import read_address
from service.settings import HttpAddress, ReadableFile, RoleSettings, checked_by

_Link = Annotated[str | None, Field(description=LINK_FORM), checked_by(LinkAddress.parse)]


class IngestSettings(RoleSettings):
    """The settings of one ingest process. Raises pydantic.ValidationError naming each fault."""

    database_url: Annotated[SecretStr, Field(description=DATABASE_URL_FORM), checked_by(check_url)]
    broker_url: Annotated[
        str | None,
        Field(description="a URL like mqtt://host:1883"),
        checked_by(BrokerAddress.parse),
    ] = None
    ingest_link: _Link = None
    ingest_link_advertised: _Link = None
    secret_key: Annotated[
        SecretStr | None, Field(description=SECRET_KEYS_FORM), checked_by(read_secret_keys)
    ] = None
    log_url: Annotated[
        SecretStr | None, Field(description=LOG_FORM), checked_by(LogAddress.parse)
    ] = None
    log_tls_ca: ReadableFile | None = None
    link_secret: SecretStr = SecretStr("")
    link_tls_cert: ReadableFile | None = None
    link_tls_key: ReadableFile | None = None
    broker_tls_ca: ReadableFile | None = None
    broker_tls_cert: ReadableFile | None = None
    broker_tls_key: ReadableFile | None = None
    broker_client_id: Annotated[str, Field(min_length=1, max_length=64)] = "opsc-ingest"
    broker_username: str | None = None
    broker_password: SecretStr | None = None
    ingest_http: HttpAddress = "127.0.0.1:9101"
    ingest_batch_messages: Annotated[int, Field(ge=1, le=65_535)] = 20_000
    ingest_batch_bytes: Annotated[int, Field(ge=1024)] = 8 * 1024 * 1024
    ingest_batch_fixes: Annotated[int, Field(ge=1, le=1_000_000)] = 40_000
    ingest_batch_transitions: Annotated[int, Field(ge=1, le=1_000_000)] = 10_000
    ingest_latency_ms: Annotated[float, Field(ge=0, le=1000)] = 20
    ingest_lease_s: Annotated[float, Field(ge=1, le=300)] = 6
    ingest_tracker_fixes_per_s: Annotated[float, Field(gt=0, le=1_000_000)] | None = None
    retention_positions_days: Annotated[int, Field(ge=1, le=36_500)] | None = None
    retention_quarantine_days: Annotated[int, Field(ge=1, le=3_650)] = 30
    quarantine_tracker_messages_per_day: Annotated[int, Field(ge=0, le=1_000_000)] = 1_000
    quarantine_tracker_bytes_per_day: Annotated[int, Field(ge=0, le=2**40)] = 16 * 1024 * 1024
    quarantine_unknown_messages_per_day: Annotated[int, Field(ge=0, le=1_000_000)] = 10_000
    quarantine_unknown_bytes_per_day: Annotated[int, Field(ge=0, le=2**40)] = 64 * 1024 * 1024

    @model_validator(mode="after")
    def _has_a_source(self) -> Self:
        if self.broker_url is None and self.ingest_link is None and self.log_url is None:
            raise ValueError("OPSC_INGEST_LINK is missing: where listeners reach this process")
        return self

    @model_validator(mode="after")
    def _link_can_be_found(self) -> Self:
        bound, advertised = self.link_address(), self.advertised_address()
        if bound is None or advertised is None:
            if self.ingest_link_advertised is not None:
                raise ValueError("OPSC_INGEST_LINK_ADVERTISED needs OPSC_INGEST_LINK")
        elif advertised.is_every_address:
            raise ValueError(
                "OPSC_INGEST_LINK_ADVERTISED must name the address that listeners connect to:"
                f" {advertised} is every address of a machine"
            )
        elif advertised.scheme != bound.scheme:
            raise ValueError(
                f"OPSC_INGEST_LINK_ADVERTISED must begin with {bound.scheme}: as OPSC_INGEST_LINK"
            )
        return self

    @model_validator(mode="after")
    def _link_is_guarded(self) -> Self:
        address = self.link_address()
        if address is None or address.is_unix:
            return self
        if not self.link_secret.get_secret_value():
            raise ValueError("OPSC_LINK_SECRET is missing: it guards a link over TCP")
        if (address.scheme == "tls") != (self.link_tls_cert is not None):
            raise ValueError("OPSC_LINK_TLS_CERT and a link of tls:// go together")
        try:
            self.link_tls()
        except OSError as error:
            raise ValueError(
                f"OPSC_LINK_TLS_CERT, OPSC_LINK_TLS_KEY: cannot be used: {error}"
            ) from None
        return self

    @model_validator(mode="after")
    def _certificates_can_be_used(self) -> Self:
        try:
            self.broker_address()
        except (OSError, ValueError) as error:
            names = "OPSC_BROKER_TLS_CA, OPSC_BROKER_TLS_CERT and OPSC_BROKER_TLS_KEY"
            raise ValueError(f"{names}: cannot be used: {error}") from None
        log_tls(self.log_address(), self.log_tls_ca)
        return self

    def link_address(self) -> LinkAddress | None:
        """Read the address at which this process waits for listeners."""
        return None if self.ingest_link is None else LinkAddress.parse(self.ingest_link)

    def log_address(self) -> LogAddress | None:
        """Read the nodes of the log; None: listeners reach this process directly."""
        url = self.log_url
        return None if url is None else LogAddress.parse(url.get_secret_value())

    def advertised_address(self) -> LinkAddress | None:
        """Read the address that listeners connect to; behind a proxy it is another one."""
        if self.ingest_link_advertised is None:
            return self.link_address()
        return LinkAddress.parse(self.ingest_link_advertised)

    def link_tls(self) -> ssl.SSLContext | None:
        """Read the certificate of the link. Raises OSError."""
        if self.link_tls_cert is None:
            return None
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.load_cert_chain(self.link_tls_cert, self.link_tls_key)
        return context

    def broker_address(self) -> BrokerAddress | None:
        """Read the broker's URL and the files of its certificates."""
        if self.broker_url is None:
            return None
        return BrokerAddress.parse(
            self.broker_url,
            ca_file=self.broker_tls_ca,
            certificate_file=self.broker_tls_cert,
            key_file=self.broker_tls_key,
        )

    @property
    def secret_keys(self) -> SecretKeys | None:
        """Read the ring of secret keys; None where encrypted messages are not opened."""
        if self.secret_key is None:
            return None
        return read_secret_keys(self.secret_key.get_secret_value())

    @property
    def http_address(self) -> tuple[str, int]:
        """Host and port of the page of health and metrics."""
        return read_address(self.ingest_http)
