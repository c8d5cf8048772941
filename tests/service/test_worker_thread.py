"""Work beside the event loop: one at a time, and no more waiting than may."""

import asyncio
import threading

import pytest

from service.worker_thread import OneThread, QueueFull


async def test_a_call_gives_what_it_returns_or_raises() -> None:
    thread = OneThread("test", waiting=1)
    assert await thread.run(lambda a, b: a + b, 1, b=2) == 3
    with pytest.raises(ZeroDivisionError):
        await thread.run(lambda: 1 // 0)
    thread.close()


async def test_beyond_the_bound_a_call_is_refused_at_once_and_later_taken_again() -> None:
    thread = OneThread("test", waiting=2)
    gate = threading.Event()
    held = [asyncio.create_task(thread.run(gate.wait)) for _ in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(QueueFull):
        await thread.run(gate.wait)
    gate.set()
    assert await asyncio.gather(*held) == [True, True]
    assert await thread.run(gate.wait)
    thread.close()


async def test_a_call_that_nobody_waits_for_any_more_makes_room() -> None:
    thread = OneThread("test", waiting=2)
    gate = threading.Event()
    running = asyncio.create_task(thread.run(gate.wait))
    given_up = asyncio.create_task(thread.run(gate.wait))
    await asyncio.sleep(0)
    given_up.cancel()
    with pytest.raises(asyncio.CancelledError):
        await given_up
    again = asyncio.create_task(thread.run(gate.wait))
    await asyncio.sleep(0)
    gate.set()
    assert await asyncio.gather(running, again) == [True, True]
    thread.close()
