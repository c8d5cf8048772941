"""Settings of the ingest role, from the environment (`OPSC_...`), frozen."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class IngestSettings(BaseSettings):
    """What one ingest process needs to know. Raises pydantic.ValidationError naming each fault."""

    model_config = SettingsConfigDict(env_prefix="OPSC_", frozen=True, extra="ignore")

    database_url: SecretStr
    broker_url: str
    broker_ca: Path | None = None
    broker_cert: Path | None = None
    broker_key: Path | None = None
    broker_folder: Path | None = None
    broker_log: Path | None = None
    ingest_client_id: Annotated[str, Field(min_length=1, max_length=64)] = "opsc-ingest"
    ingest_username: str | None = None
    ingest_password: SecretStr | None = None
    ingest_watch_username: str | None = None
    ingest_watch_password: SecretStr | None = None
    ingest_http: Annotated[str, Field(pattern=r"^[^:]+:\d+$")] = "127.0.0.1:9101"
    ingest_batch_messages: Annotated[int, Field(ge=1, le=65_535)] = 20_000
    ingest_batch_bytes: Annotated[int, Field(ge=1024)] = 8 * 1024 * 1024
    ingest_batch_fixes: Annotated[int, Field(ge=1, le=1_000_000)] = 40_000
    ingest_batch_age_ms: Annotated[float, Field(ge=0, le=1000)] = 3
    ingest_lease_s: Annotated[float, Field(ge=1, le=300)] = 6
    ingest_max_fixes_per_s: Annotated[float, Field(gt=0, le=1_000_000)] | None = None
    retention_days: Annotated[int, Field(ge=1, le=36_500)] | None = None
    quarantine_days: Annotated[int, Field(ge=1, le=3_650)] = 30
    quarantine_tracker_messages: Annotated[int, Field(ge=0, le=1_000_000)] = 1_000
    quarantine_tracker_bytes: Annotated[int, Field(ge=0, le=2**40)] = 16 * 1024 * 1024
    quarantine_unknown_messages: Annotated[int, Field(ge=0, le=1_000_000)] = 10_000
    quarantine_unknown_bytes: Annotated[int, Field(ge=0, le=2**40)] = 64 * 1024 * 1024
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["json", "console"] = "json"

    @property
    def http_address(self) -> tuple[str, int]:
        """Host and port of the page of health and metrics."""
        host, _, port = self.ingest_http.rpartition(":")
        return host, int(port)
