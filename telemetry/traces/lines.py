"""Bytes in blocks of whole lines, with a bound on a line's length."""

from collections.abc import Iterator

from telemetry.traces.trace import ByteSource, TraceError

MAX_LINE_BYTES = 64 * 1024
_BLOCK_BYTES = 1024 * 1024


def whole_lines(source: ByteSource) -> Iterator[tuple[int, bytes]]:
    """Block that end at the end of a line, without its newline, and the number of the first line.

    Raises TraceError where a line is longer than MAX_LINE_BYTES.
    """
    rest = b""
    line = 1
    while block := source.read(_BLOCK_BYTES):
        whole, newline, tail = block.rpartition(b"\n")
        if newline:
            yield line, rest + whole
            line += block.count(b"\n")
            rest = tail
        else:
            rest += tail
        if len(rest) > MAX_LINE_BYTES:
            raise TraceError(line, f"longer than {MAX_LINE_BYTES} bytes")
    if rest:
        yield line, rest
