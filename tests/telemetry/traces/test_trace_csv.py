"""CSV is read in two ways, by Arrow and by Python's csv: both must say the same."""

import io

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from telemetry.fix import FixBatch
from telemetry.traces.arrow import columns_of_csv
from telemetry.traces.files import TraceError, read_trace
from telemetry.traces.trace import Devices

HEADER = "device_id,time,lat,lon,seq,speed_mps,ignition\n"
GOOD = ["cab", "2026-01-31T12:00:00Z", "37.5", "-122.25", "", "", ""]
ODD = (
    ["cab", "b", "", " ", "é", "cab ", "x" * 128, "x" * 129, "a\u2028", "\x00", "nan"],
    [
        "2026-01-31T12:00:00Z", "2026-01-31T12:00:00.250Z", "2026-01-31T12:00:00.250001Z",
        "2026-01-31 12:00:00+02", "2026-01-31T12:00Z", "2026-01-31T12Z", "2026-01-31",
        "2026-02-30T12:00:00Z", "2026-01-31T12:00:60Z", "2026-01-31T12:00:00z", "", "1769860800000",
        "２026-01-31T12:00:0Z", "2026-01-31T12:00:00é",
    ],
    ["37.5", "+37.5", "37", "-0", ".5", "5.", "1e1", "1E+1", " 1", "1 ", "\t1", "nan", "NaN", "",
     "inf", "-Infinity", "1e400", "1e-400", "0x1", "1_0", "١", "null", "1d1", "1e", "-",
     "90.000001", "0.1000000000000000055511151231257827", "true"],
    ["-122.25", "180", "-180.5", "1" * 400, ""],
    ["", "0", "7", "1.5", "-1", "2147483647", "2147483648", "007", "1e3"],
    ["", "5.2", "-1", "1e6", "nan", "inf", " "],
    ["", "true", "false", "1", "0", "True", "yes", " true"],
)  # fmt: skip

rows = st.tuples(*(st.sampled_from([good] * 12 + odd) for good, odd in zip(GOOD, ODD, strict=True)))
lines = st.one_of(
    rows.map(",".join),
    rows.map(lambda row: ",".join(row) + "\r"),
    rows.map(lambda row: ",".join(row[:-1])),
    rows.map(lambda row: ",".join(row) + ",more"),
    st.sampled_from(["", " ", ",,,,,,", "\r", "a\rb,2026-01-31T12:00:00Z,1,1,,,"]),
)
# few of the odd ones at once, or every file would be refused
texts = st.lists(st.one_of(st.just(",".join(GOOD)), lines), min_size=1, max_size=6).map("\n".join)


# A line without end would be a block of its own.
def outcome(text: str) -> tuple[list[str], FixBatch] | tuple[int, str]:
    try:
        chunks = list(read_trace(io.BytesIO((HEADER + text + "\n").encode())))
    except TraceError as error:
        return error.line, error.problem
    devices = chunks[-1].devices if chunks else []
    return devices, FixBatch.concat([chunk.batch for chunk in chunks])


@given(texts)
@example(",".join(GOOD) + "\n\n" + ",".join(GOOD) + "\r\n")
@example(",".join(GOOD) + "\r" + ",".join(GOOD))
@example('"cab"' + ",".join(["", *GOOD[1:]]))
def test_a_quote_anywhere_changes_how_a_block_is_read_and_nothing_else(text: str) -> None:
    quoted = ",".join(['"cab"', *GOOD[1:]])  # only the careful way reads quotes
    fast = outcome(",".join(GOOD) + "\n" + text)
    careful = outcome(quoted + "\n" + text)
    if isinstance(fast[1], FixBatch) and isinstance(careful[1], FixBatch):
        assert fast[0] == careful[0]
        np.testing.assert_array_equal(fast[1].rows, careful[1].rows)
        assert fast[1].attributes == careful[1].attributes
    else:
        assert fast == careful


def test_ordinary_lines_are_read_by_arrow() -> None:
    header = HEADER.strip().split(",")
    for time in ("2026-01-31T12:00:00Z", "2026-01-31T12:00:00.250Z", "2026-01-31 12:00:00+02:00"):
        block = ",".join([GOOD[0], time, *GOOD[2:]]).encode()
        assert columns_of_csv(header, block + b"\r\n" + block, Devices()) is not None
