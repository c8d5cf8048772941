"""The server's side of MQTT 3.1, 3.1.1 and 5 for devices that publish, without I/O or a clock.

`ServerConnection` states what it promises.
"""

from mqtt.server.connection import ServerConnection
from mqtt.server.ended import Ended
from mqtt.server.events import Connect, Event, Goodbye, Publish, Receipts, Will
from mqtt.server.options import ServerOptions
from mqtt.server.states import ServerState

__all__ = [
    "Connect",
    "Ended",
    "Event",
    "Goodbye",
    "Publish",
    "Receipts",
    "ServerConnection",
    "ServerOptions",
    "ServerState",
    "Will",
]
