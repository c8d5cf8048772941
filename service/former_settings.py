"""Former names of settings, which are read until version 1.0.

Variables are renamed in one place, before anything reads them. So all other code, and every child
process, knows today's names alone.
"""

from collections.abc import Mapping, MutableMapping
from typing import NamedTuple

TODAYS_NAMES: Mapping[str, str] = {
    "OPSC_API_WORKERS": "OPSC_API_PROCESSES",
    "OPSC_API_CONNECTIONS": "OPSC_API_MAX_DATABASE_CONNECTIONS",
    "OPSC_API_LIVE_CONNECTIONS": "OPSC_API_MAX_LIVE_CONNECTIONS",
    "OPSC_API_REQUESTS_PER_USER": "OPSC_API_USER_REQUESTS_PER_MINUTE",
    "OPSC_API_REQUESTS_PER_ADDRESS": "OPSC_API_ADDRESS_REQUESTS_PER_MINUTE",
    "OPSC_API_TRUSTED_PROXIES": "OPSC_API_PROXY_NETWORKS",
    "OPSC_BROKER_CA": "OPSC_BROKER_TLS_CA",
    "OPSC_BROKER_CERT": "OPSC_BROKER_TLS_CERT",
    "OPSC_BROKER_KEY": "OPSC_BROKER_TLS_KEY",
    "OPSC_INGEST_CLIENT_ID": "OPSC_BROKER_CLIENT_ID",
    "OPSC_INGEST_USERNAME": "OPSC_BROKER_USERNAME",
    "OPSC_INGEST_PASSWORD": "OPSC_BROKER_PASSWORD",
    "OPSC_INGEST_MAX_FIXES_PER_S": "OPSC_INGEST_TRACKER_FIXES_PER_S",
    "OPSC_LINK_KEY": "OPSC_LINK_SECRET",
    "OPSC_LINK_CA": "OPSC_LINK_TLS_CA",
    "OPSC_LINK_CERT": "OPSC_LINK_TLS_CERT",
    "OPSC_LINK_CERT_KEY": "OPSC_LINK_TLS_KEY",
    "OPSC_LISTEN_MAX_FAILURES_PER_ADDRESS": "OPSC_LISTEN_ADDRESS_FAILURES_PER_MINUTE",
    "OPSC_QUARANTINE_DAYS": "OPSC_RETENTION_QUARANTINE_DAYS",
    "OPSC_QUARANTINE_TRACKER_MESSAGES": "OPSC_QUARANTINE_TRACKER_MESSAGES_PER_DAY",
    "OPSC_QUARANTINE_TRACKER_BYTES": "OPSC_QUARANTINE_TRACKER_BYTES_PER_DAY",
    "OPSC_QUARANTINE_UNKNOWN_MESSAGES": "OPSC_QUARANTINE_UNKNOWN_MESSAGES_PER_DAY",
    "OPSC_QUARANTINE_UNKNOWN_BYTES": "OPSC_QUARANTINE_UNKNOWN_BYTES_PER_DAY",
}


class FormerSettings(NamedTuple):
    """The former names that were given. todays: by each of them, the name that it has now.
    faults: a line for each setting that has another value under its former name.
    """

    todays: Mapping[str, str]
    faults: list[str]

    @property
    def warnings(self) -> list[str]:
        """A line for each former name."""
        return [f"{former} is called {name} now" for former, name in self.todays.items()]


def rename_former(variables: MutableMapping[str, str]) -> FormerSettings:
    """Give variables with former names the names of today, in place."""
    given = {former: name for former, name in TODAYS_NAMES.items() if former in variables}
    faults: list[str] = []
    for former, name in given.items():
        value = variables.pop(former)
        if variables.setdefault(name, value) != value:
            faults.append(f"{name} and {former}, its former name: have different values")
    return FormerSettings(given, faults)
