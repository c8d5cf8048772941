"""TCP connections between our processes end when the other machine is gone without a word."""

import asyncio
import socket
from ipaddress import ip_address

USER_TIMEOUT_MS = 30_000
_IDLE_S, _INTERVAL_S = 15, 5


def give_up_in_time(transport: asyncio.BaseTransport) -> None:
    """End a TCP connection whose other side does not acknowledge bytes or probes for 30 s.

    Does nothing to a unix socket: its other side cannot be gone without a word.
    """
    connected = transport.get_extra_info("socket")
    if connected.family not in (socket.AF_INET, socket.AF_INET6):
        return
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, _IDLE_S)
    connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, _INTERVAL_S)
    connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, USER_TIMEOUT_MS)


def is_loopback(host: str) -> bool:
    """Return whether only this machine reaches the host."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
