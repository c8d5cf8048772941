"""The keeper of the link to the leader of ingest, for as long as the process runs."""

import asyncio
import ssl
from urllib.parse import urlsplit

import structlog

from db.core import leases
from db.core.connect import Connection, Limits, connect
from db.core.errors import RECONNECT_S, DatabaseError
from listener.link.ingest_link import IngestLink, Sender
from listener.metrics import ListenerMetrics
from service.exceptions import message

LOOK_S = 0.1
LOOK_WHILE_LINKED_S = 1.0
WELCOME_S = 5.0
ANSWER_S = 10.0
"""Longer than the database's own limits: for one that is frozen."""
_LIMITS = Limits(statement_s=5, transaction_s=5)

_log = structlog.get_logger("listener")


class LeaderLink:
    """The link to the leader: finds the leader and connects to it, again after each failure.

    trouble: why there is no link.
    """

    def __init__(
        self,
        database_url: str,
        sender: Sender,
        metrics: ListenerMetrics,
        tls: ssl.SSLContext | None,
    ) -> None:
        self._database_url = database_url
        self._sender = sender
        self._metrics = metrics
        self._tls = tls
        self._conn: Connection | None = None
        self.trouble: str | None = "not linked to ingest yet"

    async def run(self) -> None:
        """Keep the link until cancelled."""
        try:
            while True:
                await self._link_once()
        finally:
            await self._forget_database()

    async def _link_once(self) -> None:
        try:
            leader = await self._leader()
        except (DatabaseError, TimeoutError) as error:
            self._trouble(f"the leader cannot be looked up: {message(error)}")
            await asyncio.sleep(RECONNECT_S)
            return
        if leader is None:
            self._trouble("no ingest process leads")
            await asyncio.sleep(LOOK_S)
            return
        epoch, address = leader
        try:
            link = await self._connect(address)
        except (OSError, TimeoutError) as error:
            self._trouble(f"ingest at {address} cannot be reached: {error or 'no answer'}")
            await asyncio.sleep(LOOK_S)
            return
        try:
            if link.epoch == epoch:
                self.trouble = None
                self._metrics.links.inc()
                _log.info("linked to ingest", address=address, epoch=epoch)
                await self._while_current(link, epoch)
        finally:
            link.cut()
        self._trouble("the link to ingest ended")

    async def _leader(self) -> tuple[int, str] | None:
        """Look the leader up. Raises DatabaseError or TimeoutError; the next look connects anew."""
        try:
            async with asyncio.timeout(ANSWER_S):
                if self._conn is None:
                    self._conn = await connect(self._database_url, "opsc-listen", _LIMITS)
                return await leases.holder(self._conn, leases.INGEST)
        except (DatabaseError, TimeoutError):
            await self._forget_database()
            raise

    async def _forget_database(self) -> None:
        conn, self._conn = self._conn, None
        if conn is not None:
            await conn.close()

    async def _connect(self, address: str) -> IngestLink:
        loop = asyncio.get_running_loop()
        parts = urlsplit(address)
        link = self._sender.link()
        try:
            async with asyncio.timeout(WELCOME_S):
                if parts.scheme == "unix":
                    await loop.create_unix_connection(lambda: link, parts.path)
                else:
                    tls = self._tls if parts.scheme == "tls" else None
                    await loop.create_connection(
                        lambda: link, parts.hostname or "", parts.port or 0, ssl=tls
                    )
                await asyncio.wait({link.lost, link.welcomed}, return_when=asyncio.FIRST_COMPLETED)
        except BaseException:
            link.cut()  # a welcome may come later, or have come just now: another link begins
            raise
        if link.lost.done():
            raise ConnectionError(str(link.lost.result() or "closed at once"))
        return link

    async def _while_current(self, link: IngestLink, epoch: int) -> None:
        """End with the link, or when somebody else holds the lease.

        A frozen leader keeps its socket open: only the lease tells. While the lease cannot be read
        the link stays: whether its leader still is one is decided at COMMIT.
        """
        while not link.lost.done():
            await asyncio.wait({link.lost}, timeout=LOOK_WHILE_LINKED_S)
            try:
                leader = await self._leader()
            except (DatabaseError, TimeoutError):
                continue
            if leader is not None and leader[0] != epoch:
                return

    def _trouble(self, text: str) -> None:
        if text != self.trouble:
            _log.warning("messages wait", reason=text)
        self.trouble = text
