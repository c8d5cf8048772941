"""Sending and receiving in tests: own sessions, numbered payloads, waiting with a limit."""

import asyncio
from dataclasses import replace
from itertools import count
from typing import Any

from mqtt import Message, Session, SessionOptions, Subscription
from tests.waiting import PATIENCE_S

_numbers = count(1)


def fresh_name(kind: str) -> str:
    """Return a client id or topic that no other test uses."""
    return f"mqtt-test-{kind}-{next(_numbers)}"


def options(*filters: str, **changes: Any) -> SessionOptions:
    """Return a session of its own that connects again quickly."""
    base = SessionOptions(
        fresh_name("client"),
        subscriptions=tuple(Subscription(topic_filter) for topic_filter in filters),
        reconnect_min_s=0.02,
        reconnect_max_s=0.2,
        connect_timeout_s=5,
    )
    return replace(base, **changes)


async def receive(session: Session, number: int, *, acknowledge: bool = True) -> list[Message]:
    messages: list[Message] = []
    async with asyncio.timeout(PATIENCE_S):
        while len(messages) < number:
            new = await session.receive()
            messages += new
            if acknowledge:
                session.acknowledge(new)
    return messages


async def receive_all(session: Session, wanted: set[bytes]) -> list[bytes]:
    """Return payloads in order of arrival, until each one has come at least once."""
    payloads: list[bytes] = []
    async with asyncio.timeout(PATIENCE_S):
        while not wanted <= set(payloads):
            messages = await session.receive()
            payloads += [message.payload for message in messages]
            session.acknowledge(messages)
    return payloads


def firsts(payloads: list[bytes]) -> list[bytes]:
    return list(dict.fromkeys(payloads))


def numbers(many: int) -> list[bytes]:
    return [b"%d" % number for number in range(many)]


async def publish_all(publisher: Session, topic: str, payloads: list[bytes]) -> None:
    await asyncio.gather(*(publisher.publish(topic, payload) for payload in payloads))


async def publish_slowly(publisher: Session, topic: str, payloads: list[bytes]) -> None:
    pending: list[asyncio.Future[object]] = []
    for payload in payloads:
        pending.append(asyncio.ensure_future(publisher.publish(topic, payload)))
        await asyncio.sleep(0.001)
    await asyncio.gather(*pending)
