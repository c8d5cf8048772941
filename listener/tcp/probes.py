"""Whether the other side of a TCP connection is still there: the kernel asks, and ends it if not.

It sends a probe after a second of silence, and one each second, until it has an answer.
"""

import asyncio
import fcntl
import socket
import struct
import termios

PROBE_S = 5.0
_IDLE_S, _INTERVAL_S = 1, 1
_COUNT = struct.Struct("i")


def probe(transport: asyncio.BaseTransport, silent_s: float) -> None:
    """End the connection within about PROBE_S if the other side answers nothing. silent_s: since
    when it was last heard.

    The kernel counts the silence before the first probe, too. Where bytes are not acknowledged it
    repeats those in place of probes, and counts from then on.
    """
    asked = transport.get_extra_info("socket")
    patience_s = PROBE_S if _has_unacknowledged(asked.fileno()) else PROBE_S + silent_s
    asked.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, _IDLE_S)
    asked.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, _INTERVAL_S)
    asked.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(1_000 * patience_s))
    asked.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)


def probe_no_more(transport: asyncio.BaseTransport, user_timeout_ms: int) -> None:
    """Let the connection be silent again. user_timeout_ms: for what is not acknowledged."""
    asked = transport.get_extra_info("socket")
    asked.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 0)
    asked.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, user_timeout_ms)


def _has_unacknowledged(fileno: int) -> bool:
    """Return whether bytes were sent, or wait to be, that the other side has not acknowledged."""
    count = fcntl.ioctl(fileno, termios.TIOCOUTQ, bytes(_COUNT.size))
    return _COUNT.unpack(count)[0] > 0
