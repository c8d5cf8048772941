"""The certificates of the TLS ports, read again when their files change."""

import asyncio
import ssl
from pathlib import Path

import structlog

from listener.devices.arrivals import tls_context
from listener.settings import ListenSettings

LOOK_S = 5.0

_log = structlog.get_logger("listener")


class Certificates:
    """The contexts of new connections. Raises OSError where the files cannot be used."""

    def __init__(self, settings: ListenSettings) -> None:
        self._settings = settings
        self._stamp = self._stamped()
        self._contexts: dict[ssl.TLSVersion, ssl.SSLContext] = {}
        if settings.tls_cert is not None and settings.tls_key is not None:
            self._read()

    def tls13(self) -> ssl.SSLContext:
        """Return a context of TLS 1.3 and nothing older."""
        return self._contexts[ssl.TLSVersion.TLSv1_3]

    def tls12(self) -> ssl.SSLContext:
        """Return a context of TLS 1.2 too, for modems that cannot do better."""
        return self._contexts[ssl.TLSVersion.TLSv1_2]

    async def keep(self) -> None:
        """Read the files again whenever they change; a broken one leaves the former in use."""
        while True:
            await asyncio.sleep(LOOK_S)
            stamp = self._stamped()
            if stamp == self._stamp:
                continue
            self._stamp = stamp
            try:
                await asyncio.to_thread(self._read)
            except OSError as error:
                _log.error("the new certificate cannot be used", error=str(error))
            else:
                _log.info("certificate reloaded")

    def _read(self) -> None:
        settings = self._settings
        client_ca = settings.listen_client_ca
        self._contexts = {
            oldest: tls_context(
                str(settings.tls_cert),
                str(settings.tls_key),
                client_ca=None if client_ca is None else str(client_ca),
                oldest=oldest,
            )
            for oldest in (ssl.TLSVersion.TLSv1_3, ssl.TLSVersion.TLSv1_2)
        }

    def _stamped(self) -> tuple[object, ...]:
        settings = self._settings
        return tuple(
            _stamp(path)
            for path in (settings.tls_cert, settings.tls_key, settings.listen_client_ca)
            if path is not None
        )


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        facts = path.stat()
    except OSError:
        return None
    return facts.st_ino, facts.st_size, facts.st_mtime_ns
