"""Whether servers that the settings name answer, asked before anything is started.

The roles would wait for them for a minute each, in silence.
"""

from __future__ import annotations

import socket
from contextlib import closing

import psycopg

from mqtt import BrokerAddress
from stack.errors import StackError

TIMEOUT_S = 3


def require_database(url: str) -> None:
    """Raises StackError where no database answers at OPSC_DATABASE_URL."""
    try:
        psycopg.connect(url, connect_timeout=TIMEOUT_S).close()
    except psycopg.Error as error:
        why = str(error).strip()
        raise StackError(f"OPSC_DATABASE_URL: no database can be used there: {why}") from None


def require_broker(url: str) -> None:
    """Raises StackError where nothing listens at OPSC_BROKER_URL."""
    try:
        address = BrokerAddress.parse(url)
    except ValueError as error:
        raise StackError(f"OPSC_BROKER_URL: {error}") from None
    place = f"{address.host}:{address.port}"
    try:
        with closing(socket.create_connection((address.host, address.port), TIMEOUT_S)):
            pass
    except OSError as error:
        raise StackError(f"OPSC_BROKER_URL: no broker answers at {place}: {error}") from None
