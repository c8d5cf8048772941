"""Whether a majority of the log has a block on disk before it is confirmed, by what its nodes ask
of the kernel.

    python -m benchmarks.log.synced [--blocks N] [--no-result]

Three nodes run under strace. Blocks are published one after the other, as a listener does for each
queue. A node has a block once an fdatasync of its write-ahead log has returned that began when the
block was written there. Exit code 1 where fewer than two nodes had it when its confirm was handed
to the kernel. Whether a disk keeps what fdatasync has returned for is another question.
"""

import argparse
import asyncio
import secrets
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from typing import NamedTuple

from benchmarks.common import machine
from benchmarks.log.traced import Call, calls
from service.amqp import rabbitmq
from service.amqp.address import LogAddress
from stack.errors import StackError
from stack.host.process import Command, Process, wait_until
from stack.host.programs import library_path, provided, servers_dir
from stack.servers.cluster.rabbitmq import Rabbit

NODES, MAJORITY = 3, 2
BLOCK_BYTES = 2_000
ATTACHED_S, CONFIRMED_S = 30.0, 30.0
_TRACED = "write,writev,pwrite64,pwritev,pwritev2,fdatasync,fsync,sendto,sendmsg"
_ACK = bytes.fromhex("01 0001 0000000d 003c 0050")  # a method frame of channel 1: Basic.Ack


class Block(NamedTuple):
    """A block that was published, by the clock of the machine, seconds.

    has_s: when each node had it on disk; None: not as long as we looked. confirmed_s: when its
    confirm was handed to the kernel.
    """

    published_s: float
    has_s: Sequence[float | None]
    confirmed_s: float

    @property
    def nodes(self) -> int:
        """How many nodes had it before the confirm."""
        return sum(one is not None and one <= self.confirmed_s for one in self.has_s)


def has_s(of_node: Iterable[Call], mark: bytes) -> float | None:
    """Return when a node had the block with this mark on disk."""
    written: Call | None = None
    for call in of_node:
        if written is None:
            if call.path.endswith(".wal") and mark in call.data:
                written = call
        elif (
            call.name in ("fdatasync", "fsync")
            and call.path == written.path
            and call.began_s >= written.ended_s
            and call.result == 0
        ):
            return call.ended_s
    return None


def confirmed_s(of_nodes: Iterable[Sequence[Call]], number: int) -> float:
    """Return when a message's confirm was handed to the kernel. Raises StackError."""
    frame = _ACK + number.to_bytes(8, "big")
    for of_node in of_nodes:
        for call in of_node:
            if frame in call.data:
                return call.began_s
    raise StackError(f"the confirm of message {number} is not in what was traced")


async def published(url: str, marks: Sequence[bytes]) -> list[tuple[int, float]]:
    """Publish blocks, each when the one before is confirmed; return their numbers and when."""
    address, found = LogAddress.parse(url), list[tuple[int, float]]()
    log = await rabbitmq.connect(address, address.hosts[0], "synced")
    confirmed = asyncio.Queue[tuple[int, bool]]()
    await rabbitmq.declare(log)
    await log.confirm(lambda number, _, is_taken: confirmed.put_nowait((number, is_taken)))
    for index, mark in enumerate(marks):
        body = mark + secrets.token_bytes(BLOCK_BYTES)
        queue = rabbitmq.queue_name(index % rabbitmq.QUEUES)
        at_s = time.time()
        number = log.publish(queue, body, is_lasting=True, is_mandatory=True)
        async with asyncio.timeout(CONFIRMED_S):
            if await confirmed.get() != (number, True):
                raise StackError(f"block {index} was not taken")
        found.append((number, at_s))
    log.close()
    return found


def watched(count: int) -> list[Block]:
    """Start a log, and publish that many blocks to it. Raises StackError."""
    marks = [secrets.token_hex(16).encode() for _ in range(count)]
    with ExitStack() as ending:
        folder = Path(tempfile.mkdtemp(prefix="opsc-synced-"))
        ending.callback(shutil.rmtree, folder, ignore_errors=True)
        folder.chmod(0o755)
        rabbit = Rabbit(folder / "rabbit", NODES)
        ending.callback(rabbit.stop)
        rabbit.start()
        asyncio.run(published(rabbit.url(), [b"first"] * rabbitmq.QUEUES))  # queues have leaders
        with _traced([node.process.pid for node in rabbit.nodes], folder) as files:
            sent = asyncio.run(published(rabbit.url(), marks))
            time.sleep(1)  # for the node that comes last
        of_nodes = [list(calls(file.read_text().splitlines())) for file in files]
        return [
            Block(at_s, [has_s(each, mark) for each in of_nodes], confirmed_s(of_nodes, number))
            for mark, (number, at_s) in zip(marks, sent, strict=True)
        ]


@contextmanager
def _traced(pids: Sequence[int], folder: Path) -> Iterator[list[Path]]:
    """Trace processes; the files are whole behind the block. Raises StackError."""
    program, environment = provided(servers_dir() / "strace", ("strace",), _found)
    files = [folder / f"{pid}.calls" for pid in pids]
    with ExitStack() as ending:
        for pid, file in zip(pids, files, strict=True):
            log = folder / f"{pid}.strace"
            options = ["-f", "-ttt", "-T", "-y", "-xx", "-s", "65536", "-e", f"trace={_TRACED}"]
            process = Process(
                Command(
                    name="strace",
                    argv=[str(program), *options, "-o", str(file), "-p", str(pid)],
                    environment=environment,
                    log=log,
                    stop_signals=[(signal.SIGINT, 10.0)],
                    death_signal=signal.SIGINT,
                )
            )
            ending.callback(process.stop)
            wait_until(process, lambda log=log: "attached" in log.read_text(), ATTACHED_S)
        yield files


def _found(roots: Sequence[Path]) -> tuple[Path, Mapping[str, str]] | None:
    for root in roots:
        if (program := root / "usr/bin/strace").exists():
            return program, library_path(root)
    return None


def summary(blocks: Sequence[Block]) -> Mapping[str, object]:
    """Return the figures: how many nodes had how many blocks, and by how much they were earlier."""
    spare_s = [
        one.confirmed_s - sorted(s for s in one.has_s if s is not None)[MAJORITY - 1]
        for one in blocks
        if one.nodes >= MAJORITY
    ]
    return {
        "blocks": len(blocks),
        "by_nodes_before_the_confirm": {
            str(count): sum(one.nodes == count for one in blocks) for count in range(NODES + 1)
        },
        "majority_before_confirm_ms": {
            "least": round(min(spare_s) * 1000, 3),
            "median": round(median(spare_s) * 1000, 3),
        }
        if spare_s
        else None,
        "confirmed_after_ms": round(
            median(one.confirmed_s - one.published_s for one in blocks) * 1000, 1
        ),
    }


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        "benchmarks.log.synced", description="Is a block on disk before it is confirmed?"
    )
    parser.add_argument("--blocks", type=int, default=200, help="how many (default 200)")
    parser.add_argument("--no-result", action="store_true", help="write no result file")
    options = parser.parse_args(arguments)
    try:
        blocks = watched(options.blocks)
    except StackError as error:
        print(error, file=sys.stderr)
        return 1
    figures = summary(blocks)
    for name, value in figures.items():
        print(f"{name}: {value}")
    if not options.no_result:
        print(f"written: {machine.write_result('synced', {**machine.about(), **figures})}")
    return 0 if all(one.nodes >= MAJORITY for one in blocks) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
