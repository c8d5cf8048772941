"""The names of all `OPSC_*` variables that something reads.

Those of the roles are the fields of their settings; those of the commands stand here.
"""

from __future__ import annotations

from pydantic_settings import BaseSettings

from api.settings import ApiSettings
from ingest.settings import IngestSettings
from webhooks.settings import DeliverSettings

ROLES: tuple[type[BaseSettings], ...] = (IngestSettings, ApiSettings, DeliverSettings)
OF_COMMANDS = frozenset(
    {
        "OPSC_API_KEY",
        "OPSC_API_URL",
        "OPSC_BROKER_CLIENT_CA",
        "OPSC_BROKER_TLS_HOST",
        "OPSC_BROKER_TLS_PORT",
        "OPSC_SERVERS_DIR",
        "OPSC_TEST_DATA",
        "OPSC_TEST_VECTORS",
    }
)


def known_variables() -> frozenset[str]:
    """Every variable that a role or a command reads."""
    fields = (f"OPSC_{name}".upper() for role in ROLES for name in role.model_fields)
    return OF_COMMANDS.union(fields)
