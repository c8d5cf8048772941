"""The doors of `/v1/ingest/...`: which path says which format, who sends, and what is answered.

    GET  /v1/ingest/osmand/{key}?lat=52.52&lon=13.405&timestamp=1769860800
    POST /v1/ingest/owntracks        with Basic: the tracker's id and its secret
    POST /v1/ingest/gateways/{key}   with the key of a gateway

A key is the id of a tracker or a gateway and its secret with a dot between them. It stands in the
path, in a bearer token, or as user and password. A new door is a row of `DOORS`.
"""

import base64
import binascii
from collections.abc import Callable, Mapping
from typing import NamedTuple
from urllib.parse import unquote

from listener.http.requests import Request
from telemetry.topics import fixes_topic, osmand_topic, overland_topic, owntracks_topic

_PREFIX = "/v1/ingest/"
_JSON_BEGINS = b"{["


class Door(NamedTuple):
    """topic: of the tracker's messages; None: the key is a gateway's, and each message names its
    device. answer: what the app wants to read. takes_query: the query is the message where there is
    no body, and gets the time of its receipt where it has none. takes_commands: the app reads
    commands in the answer.
    """

    topic: Callable[[str], str] | None
    answer: bytes = b""
    takes_query: bool = False
    takes_commands: bool = False


def _of_a_phone(tracker_id: str) -> str:
    return owntracks_topic(tracker_id, "http")


DOORS: Mapping[str, Door] = {
    "fixes": Door(fixes_topic),
    "osmand": Door(osmand_topic, takes_query=True),
    "overland": Door(overland_topic, answer=b'{"result":"ok"}'),
    "owntracks": Door(_of_a_phone, answer=b"[]", takes_commands=True),
    "gateways": Door(None),
    "traccar": Door(None),
}


class Credentials(NamedTuple):
    """The id and the secret of a tracker or a gateway, as they were given."""

    name: str
    secret: bytes


class Place(NamedTuple):
    """Where a request leads. name: of the door. credentials: None where the path has none."""

    name: str
    door: Door
    credentials: Credentials | None


def place_of(path: str) -> Place | None:
    """Return the door of a path; None where there is none."""
    if not path.startswith(_PREFIX):
        return None
    name, _, key = path.removeprefix(_PREFIX).partition("/")
    door, key = DOORS.get(name), unquote(key.rstrip("/"))
    if door is None or "/" in key:
        return None
    return Place(name, door, _of_key(key) if key else None)


def credentials_of(authorization: str) -> Credentials | None:
    """Return what an Authorization header says; None where it says nothing of use."""
    scheme, _, value = authorization.partition(" ")
    value = value.strip()
    if scheme.lower() == "bearer":
        return _of_key(value)
    if scheme.lower() != "basic":
        return None
    try:
        name, colon, secret = base64.b64decode(value, validate=True).partition(b":")
        return Credentials(name.decode(), secret) if colon else None
    except (binascii.Error, ValueError):
        return None


def payload_of(door: Door, request: Request, now_ms: int) -> bytes:
    """Return the message of a request."""
    if not door.takes_query:
        return request.body
    payload = request.body or request.query
    is_json = payload.lstrip()[:1] in _JSON_BEGINS if payload.strip() else False
    if is_json or b"time" in payload or not payload:
        return payload
    return payload + b"&timestamp=%d" % now_ms


def _of_key(key: str) -> Credentials:
    name, _, secret = key.partition(".")
    return Credentials(name, secret.encode())
