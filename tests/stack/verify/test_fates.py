"""What becomes of each fix by itself; the table of faults says the same."""

from collections.abc import Iterator

import numpy as np
import pytest

from device_sim.faults import FAULTS, ROLLOVER_US, Faults, with_faults
from device_sim.ledger import Ledger
from device_sim.packing import pack
from device_sim.payloads import PayloadFormat, as_sent, payloads, truncated
from device_sim.schedule import Slice
from stack.verify.fix_fates import Arrived, Fates, fates
from telemetry.fix import FIX_DTYPE, FixBatch, Flag, blank_rows
from telemetry.formats.decode import Format, check_clock, decode
from telemetry.rejection import Reason
from tests.stack.small_runs import INSIDE, RUN_S, SECOND_US, START_US, arrived, at_us, sent

N = 60
READ_AS_SENT = [
    (name, payload_format)
    for name in FAULTS
    for payload_format in PayloadFormat
    if name not in ("reconnect", "rollover")  # which decoding knows nothing of
    and (name, payload_format) != ("nan", PayloadFormat.PACKED)  # has no such number
]


def schedule(_start_us: int) -> Iterator[Slice]:
    """Yield N fixes of one tracker, a second apart."""
    rows = blank_rows(N)
    rows["tracker"], rows["seq"] = 0, np.arange(N)
    rows["time_us"] = START_US + np.arange(N) * SECOND_US
    rows["lat"], rows["lon"] = 50.0 + np.arange(N) / 10_000, 13.0
    yield Slice(np.arange(float(N)), FixBatch(rows))


def faulty(name: str, payload_format: PayloadFormat, per_message: int = 1) -> Ledger:
    """Return a ledger of a run in which every fix has the fault, or every message."""
    ledger = Ledger()
    slices = with_faults(schedule, Faults({name: 1.0}), 1)(START_US)
    for messages in pack(slices, per_message):
        messages = as_sent(messages, payload_format)
        contents = payloads(payload_format, messages)
        if name == "truncated":
            contents = [truncated(content) for content in contents]
        is_whole = np.full(len(contents), name != "truncated")
        first = ledger.plan(messages.fixes, messages.lengths, contents, is_whole)
        for number, due_s in enumerate(messages.due_s.tolist(), first):
            ledger.sent(number, START_US + round(due_s * SECOND_US))
            ledger.acknowledged(number, START_US + round(due_s * SECOND_US))
    return ledger


def fates_of(ledger: Ledger, payload_format: PayloadFormat = PayloadFormat.JSON) -> Fates:
    is_json = payload_format is PayloadFormat.JSON
    return fates(Arrived.from_ledger(ledger, ledger.acknowledged_fixes(), is_json=is_json))


@pytest.mark.parametrize("name", FAULTS)
def test_the_table_of_faults_says_what_becomes_of_them(name: str) -> None:
    found, fault = fates_of(faulty(name, PayloadFormat.JSON)), FAULTS[name]
    identities = np.unique(found.stored[["time_us", "seq"]])
    if fault.reason is not None:
        assert len(found.stored) == 0
        assert {one.reason for one in found.refused} == {fault.reason}
        assert sum(found.refused.values()) == N
    else:
        assert not found.refused
        assert len(identities) == N
    is_mended = (found.stored["flags"] & Flag.ROLLOVER) != 0
    assert is_mended.all() == (fault.becomes.startswith("repaired") or not len(is_mended))
    if name == "rollover":
        assert identities["time_us"].tolist() == [START_US + n * SECOND_US for n in range(N)]


@pytest.mark.parametrize("per_message", [1, 7])
@pytest.mark.parametrize(("name", "payload_format"), READ_AS_SENT)
def test_what_is_foreseen_is_what_decoding_gives(
    name: str, per_message: int, payload_format: PayloadFormat
) -> None:
    ledger, contents = faulty(name, payload_format, per_message), []
    for messages in pack(with_faults(schedule, Faults({name: 1.0}), 1)(START_US), per_message):
        contents += payloads(payload_format, as_sent(messages, payload_format))
    if name == "truncated":
        contents = [truncated(content) for content in contents]
    wire = Format.PACKED if payload_format is PayloadFormat.PACKED else Format.NATIVE
    decoded = decode(contents, [wire] * len(contents))
    credible, implausible = check_clock(decoded.batch, ledger.messages["sent_us"])
    found = fates_of(ledger, payload_format)
    assert len(found.stored) == len(credible)
    refused = {(r.message, r.reason) for r in [*decoded.rejections, *implausible]}
    assert sum(found.refused.values()) == len(refused)
    assert {one.reason for one in found.refused} == {reason for _, reason in refused}


# Rules -------------------------------------------------------------------------------------------


def test_equal_messages_are_counted_together() -> None:
    found = fates(arrived(sent((0, 0, 0.0), (0, 0, 0.0), (0, 1, 0.0), (1, 0, INSIDE))))
    assert sorted(found.refused.values()) == [1, 2]
    assert found.stored["tracker"].tolist() == [1]


@pytest.mark.parametrize("rounds", [1, 2])
def test_a_clock_that_lost_rounds_of_weeks_is_mended(rounds: int) -> None:
    rows = sent((0, 10, INSIDE))
    rows["time_us"] -= rounds * ROLLOVER_US
    found = fates(arrived(rows))
    assert found.stored["time_us"].tolist() == [at_us(10)]
    assert found.stored["flags"].tolist() == [Flag.ROLLOVER]


def test_an_old_track_is_left_where_it_is() -> None:
    rows = sent((0, 0, INSIDE), (0, 10, INSIDE))
    rows["time_us"] -= [ROLLOVER_US + 2 * 86_400 * SECOND_US, ROLLOVER_US + 86_400 * SECOND_US]
    found = fates(arrived(rows))
    assert (found.stored["flags"] == 0).all()
    assert len(found.stored) == 2


def test_three_rounds_are_too_many_and_lie_before_2000() -> None:
    rows = sent((0, RUN_S, INSIDE))
    rows["time_us"] -= 3 * ROLLOVER_US
    assert [one.reason for one in fates(arrived(rows)).refused] == [Reason.ANCIENT]


def test_nothing_becomes_nothing() -> None:
    found = fates(arrived(np.empty(0, FIX_DTYPE)))
    assert (len(found.stored), len(found.refused)) == (0, 0)
