"""Messages of OwnTracks that are encrypted are opened with the keys of their trackers.

What does not open stays as it is, and is refused by the decoder, with a hint. The quarantine keeps
it encrypted: it can be released when the tracker has the right key.
"""

from collections.abc import Mapping, Sequence
from uuid import UUID

from db.core.connect import Connection
from db.core.secrets import SecretBox, UnsealError
from db.resources import encryption_keys
from ingest.sources.source import RawMessage
from telemetry.formats.encrypted import is_encrypted, opened
from telemetry.ids import IdError, parse_id
from telemetry.topics import is_of_owntracks


async def opened_payloads(
    conn: Connection, messages: Sequence[RawMessage], box: SecretBox | None
) -> Mapping[int, bytes]:
    """Return, by number, what is in the messages that open. box: what opens the keys of trackers.

    The keys are read for each batch that needs some: a key counts from its COMMIT on.
    """
    encrypted = {
        number: sender
        for number, message in enumerate(messages)
        if is_of_owntracks(message.topic)
        and is_encrypted(message.payload)
        and (sender := _sender(message)) is not None
    }
    if box is None or not encrypted:
        return {}
    keys: dict[UUID, bytes] = {}
    sealed = await encryption_keys.of_trackers(conn, list(set(encrypted.values())))
    for tracker_id, key in sealed.items():
        try:
            keys[tracker_id] = box.open(key, tracker_id.bytes)
        except UnsealError:
            continue
    found = {
        number: opened(messages[number].payload, keys[sender])
        for number, sender in encrypted.items()
        if sender in keys
    }
    return {number: payload for number, payload in found.items() if payload is not None}


def _sender(message: RawMessage) -> UUID | None:
    if message.identity is not None:
        return message.identity
    try:
        return parse_id("trk", message.topic.split("/")[1])
    except (IdError, IndexError):
        return None
