"""A request that is given up ends its process at any moment, and the next one is answered."""

import asyncio

from api.limits.forking_process import ForkingProcess
from api.limits.turns import Turns
from db.core.ids import new_id
from tests.api.limits.large_answers import ANSWER_BYTES

ENDS_WITHIN_S = 20
MOMENTS_S = (0.002, 0.004, 0.008, 0.012, 0.016, 0.024, 0.032, 0.064)


async def request() -> bytes:
    return b"?"


async def test_a_request_given_up_while_its_answer_comes_holds_nobody_up() -> None:
    org_id = new_id()
    process = ForkingProcess("tests.api.limits.large_answers", Turns())
    given_up = 0
    try:
        for moment_s in MOMENTS_S:
            assert len(await process.ask(org_id, request)) == ANSWER_BYTES
            asked = asyncio.create_task(process.ask(org_id, request))
            await asyncio.sleep(moment_s)
            asked.cancel()
            await asyncio.wait([asked], timeout=ENDS_WITHIN_S)
            assert asked.done()
            if asked.cancelled():  # else the answer was there before
                given_up += 1
                assert process.process is None
        assert given_up > 0
    finally:
        await asyncio.wait_for(process.close(), ENDS_WITHIN_S)
