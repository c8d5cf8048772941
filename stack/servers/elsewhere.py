"""A check that servers which the settings name answer, before anything is started.

The roles would wait for them for a minute each, in silence.
"""

from __future__ import annotations

import os
import socket
from contextlib import closing

import psycopg

from db.core.connect import check_url
from mqtt import BrokerAddress
from stack.errors import StackError

TIMEOUT_S = 3


def require_database(url: str) -> None:
    """Raise StackError where OPSC_DATABASE_URL is no URL, or no database answers there."""
    try:
        check_url(url)
    except ValueError as error:
        raise StackError(f"OPSC_DATABASE_URL: {error}") from None
    try:
        psycopg.connect(url, connect_timeout=TIMEOUT_S).close()
    except psycopg.Error as error:
        why = str(error).strip()
        raise StackError(f"OPSC_DATABASE_URL: no database can be used there: {why}") from None


def given_database() -> str | None:
    """Return OPSC_DATABASE_URL, where it is set. Raises StackError where no database
    answers there.
    """
    if url := os.environ.get("OPSC_DATABASE_URL"):
        require_database(url)
    return url


def require_broker(url: str) -> None:
    """Raise StackError where nothing listens at OPSC_BROKER_URL."""
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
