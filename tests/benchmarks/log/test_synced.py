"""What is read from strace's lines, and when a block counts as being on disk."""

import pytest

from benchmarks.log.synced import Block, confirmed_s, has_s
from benchmarks.log.traced import Call, calls
from stack.errors import StackError

MARK = b"mark"
ACK = bytes.fromhex("01 0001 0000000d 003c 0050 0000000000000007 00 ce")


def hexed(data: bytes) -> str:
    return "".join(f"\\x{byte:02x}" for byte in data)


WAL, OTHER, SOCKET = (hexed(name) for name in (b"/q/1.wal", b"/q/2.segment", b"socket:[9]"))
WRITTEN = f'7 10.1 writev(5<{WAL}>, [{{iov_base="{hexed(b"a mark")}", iov_len=6}}], 1) = 6 <0.1>'
SYNCED = f"7 10.3 fdatasync(5<{WAL}>) = 0 <0.2>"


def test_calls_are_read() -> None:
    pieces = f'[{{iov_base="{hexed(b"ab")}", iov_len=2}}, {{iov_base="{hexed(b"c")}", iov_len=1}}]'
    lines = [
        f"7 10.000001 writev(5<{WAL}>, {pieces}, 2) = 3 <0.000020>",
        f"8  10.1 fdatasync(6<{OTHER}> <unfinished ...>",
        f'7 10.2 sendto(9<{SOCKET}>, "{hexed(b"x")}", 1, 0, NULL, 0) = -1 EAGAIN (Try again)',
        "8  10.5 <... fdatasync resumed>) = 0 <0.400000>",
        "9 10.6 --- SIGCHLD {si_signo=SIGCHLD} ---",
        "9 10.7 +++ exited with 0 +++",
        "8  10.8 fdatasync(6 <unfinished ...>",
    ]
    assert list(calls(lines)) == [
        Call("writev", "/q/1.wal", b"abc", 10.000001, 10.000001 + 0.00002, 3),
        Call("sendto", "socket:[9]", b"x", 10.2, 10.2, -1),
        Call("fdatasync", "/q/2.segment", b"", 10.1, 10.5, 0),
    ]


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([WRITTEN, SYNCED], 10.5),
        ([WRITTEN], None),
        ([SYNCED, WRITTEN], None),  # of what was written before
        ([WRITTEN, SYNCED.replace("10.3", "10.15")], None),
        ([WRITTEN, SYNCED.replace(WAL, OTHER)], None),
        ([WRITTEN.replace(WAL, OTHER), SYNCED], None),
        ([WRITTEN, SYNCED.replace("= 0", "= -1 EIO (Input/output error)")], None),
        ([WRITTEN, SYNCED.replace("= 0", "= -1 EIO (Input/output error)"), SYNCED], 10.5),
        ([WRITTEN.replace(hexed(MARK), hexed(b"else")), SYNCED], None),
    ],
)
def test_a_block_is_on_disk_when_it_was_written_and_then_synced(
    lines: list[str], expected: float | None
) -> None:
    assert has_s(calls(lines), MARK) == (None if expected is None else pytest.approx(expected))


def test_a_confirm_is_found_by_its_number() -> None:
    sent = f'7 11.0 writev(9<{SOCKET}>, [{{iov_base="{hexed(ACK)}", iov_len=22}}], 1) = 22 <0.1>'
    of_nodes = [list(calls([WRITTEN])), list(calls([SYNCED, sent]))]
    assert confirmed_s(of_nodes, 7) == 11.0
    with pytest.raises(StackError, match="the confirm of message 8"):
        confirmed_s(of_nodes, 8)


def test_nodes_count_that_have_it_before_the_confirm() -> None:
    assert Block(1.0, [2.0, 3.0, None], 3.0).nodes == 2
    assert Block(1.0, [2.0, 3.1, None], 3.0).nodes == 1
