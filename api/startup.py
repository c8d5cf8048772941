"""The pool of the API is opened once the database was reached, and its login was found to be under
row-level security: no request is ever served over a login that may see all organizations.
"""

import asyncio

import structlog

from api.settings import ApiSettings
from db.core.connect import Pool, connect
from db.core.errors import RECONNECT_S, OperationalError
from db.core.tenant import is_row_security_bypassed

_RETRY_MIN_S = 0.25

_log = structlog.get_logger("api")


class RowSecurityBypassed(Exception):
    """The database login would show each organization the rows of all."""

    def __init__(self) -> None:
        super().__init__("OPSC_DATABASE_URL must be a login under row-level security: opsc_app")


async def opened(settings: ApiSettings, connections: Pool) -> asyncio.Task[None] | None:
    """Open `connections`, or return the task that does so when there is a database again.

    Raises RowSecurityBypassed.
    """
    try:
        await _open(settings, connections)
    except OperationalError as error:
        _log.warning("waiting for the database", error=str(error).strip())
        return asyncio.create_task(_keep_trying(settings, connections, str(error)))
    return None


async def _keep_trying(settings: ApiSettings, connections: Pool, told: str) -> None:
    """Log a reason once, until there is another."""
    delay_s = _RETRY_MIN_S
    while True:
        await asyncio.sleep(delay_s)
        delay_s = min(2 * delay_s, RECONNECT_S)
        try:
            await _open(settings, connections)
        except (OperationalError, RowSecurityBypassed) as error:
            if str(error) != told:
                told = str(error)
                _log.warning("waiting for the database", error=told.strip())
        else:
            _log.info("connected to the database")
            return


async def _open(settings: ApiSettings, connections: Pool) -> None:
    """Raise OperationalError, RowSecurityBypassed."""
    async with await connect(settings.database_url.get_secret_value(), "opsc-api") as conn:
        if await is_row_security_bypassed(conn):
            raise RowSecurityBypassed
    await connections.open()
