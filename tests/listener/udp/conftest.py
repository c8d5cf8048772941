"""Both roles."""

from tests.listener.tcp.conftest import system

__all__ = ["system"]
