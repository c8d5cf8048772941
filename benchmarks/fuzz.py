"""Any bytes to what reads what strangers send, by atheris, with a result file.

    make fuzz SECONDS=600          ten minutes over all targets
    make fuzz SECONDS=600 KEEP=1   the same; the corpus of the tests becomes what reached most

Each target (`tests/fuzz/targets.py`) begins with the inputs of the tests. An input that breaks a
promise is written to var/fuzz/findings/ and ends the run of its target. One process at a time runs,
at low priority. Exit code 1: something was found.
"""

import argparse
import hashlib
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.common import machine
from tests.fuzz.targets import CORPUS, TARGETS, corpus, seeds, write_corpus

FOLDER = Path("var") / "fuzz"
SHARES = {
    "machine": 0.4,
    "payloads": 0.2,
    "frames": 0.15,
    "requests": 0.1,
    "boxes": 0.1,
    "proxy": 0.05,
}
"""What part of the time each target has."""
MAX_INPUT_BYTES = 600
SLICE_S = 60
"""How long a process tries: while atheris looks on, it grows by some KiB an input."""
MEMORY_MAX_MIB = 1024
"""A process that takes more is a finding."""
INPUT_MAX_S = 10
"""An input that takes longer is a finding."""
KEPT_MAX_BYTES = 45_000
"""What the tests keep of a target's corpus."""
_STATUS = re.compile(rb"cov: (\d+) ft: (\d+)")
_STATISTIC = re.compile(rb"stat::(\w+): +(\d+)")


@dataclass(frozen=True, slots=True)
class Run:
    """The result of a target. edges: branches of instrumented modules that some input took."""

    target: str
    seconds: float
    executions: int
    edges: int
    features: int
    inputs_before: int
    inputs: int
    inputs_bytes: int
    peak_memory_mib: int
    slowest_s: int
    findings: list[str]


def fuzz(target: str, seconds: int, seed: int) -> Run:
    """Run a target, from the inputs of the tests on."""
    found, findings = _folder(target), FOLDER / "findings"
    findings.mkdir(parents=True, exist_ok=True)
    before = set(findings.iterdir())
    inputs = {*seeds(target), *corpus(target)}
    for data in inputs:
        (found / hashlib.sha1(data).hexdigest()).write_bytes(data)
    began_s, executions, peak_mib, slowest_s = time.monotonic(), 0, 0, 0
    edges = features = 0
    new: list[str] = []
    for number in range(-(-seconds // SLICE_S)):
        slice_s = min(SLICE_S, seconds - number * SLICE_S)
        printed = _atheris(target, found, f"-max_total_time={slice_s}", f"-seed={seed + number}",
            f"-artifact_prefix={findings}/{target}-", f"-rss_limit_mb={MEMORY_MAX_MIB}",
            f"-timeout={INPUT_MAX_S}", f"-max_len={MAX_INPUT_BYTES}", "-print_final_stats=1",
        )  # fmt: skip
        said = {name.decode(): int(value) for name, value in _STATISTIC.findall(printed)}
        executions += said.get("number_of_executed_units", 0)
        peak_mib = max(peak_mib, said.get("peak_rss_mb", 0))
        slowest_s = max(slowest_s, said.get("slowest_unit_time_sec", 0))
        edges, features = map(int, (_STATUS.findall(printed) or [(edges, features)])[-1])
        new = sorted(path.name for path in set(findings.iterdir()) - before)
        if new or "number_of_executed_units" not in said:
            print(printed[-8_000:].decode(errors="replace"), file=sys.stderr)
            new = new or ["the fuzzer ended by itself"]
            break
    took_s = time.monotonic() - began_s
    sizes = [path.stat().st_size for path in found.iterdir()]
    return Run(
        target, round(took_s, 1), executions, edges, features,
        len(inputs), len(sizes), sum(sizes), peak_mib, slowest_s, new,
    )  # fmt: skip


def _folder(name: str) -> Path:
    """Make an empty folder."""
    folder = FOLDER / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def _atheris(target: str, *arguments: str | Path) -> bytes:
    """Run the fuzzer; return what it printed."""
    command = [sys.executable, "-m", "tests.fuzz.run_atheris", target, *map(str, arguments)]
    return subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
    ).stdout


def reached() -> dict[str, Any]:
    """Return what all inputs reach (`tests/fuzz/coverage.py`)."""
    command = [sys.executable, "-m", "tests.fuzz.coverage", str(FOLDER)]
    return json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)


def keep(target: str, names: Sequence[str]) -> None:
    """Make the tests' corpus of inputs that are in no table."""
    known, kept, size = set(seeds(target)), list[bytes](), 0
    for data in (path.read_bytes() for path in (FOLDER / target / name for name in names)):
        size += len(data) * 4 // 3 + 5
        if data not in known and size < KEPT_MAX_BYTES:
            kept.append(data)
    write_corpus(target, kept)


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks.fuzz", description="Fuzz by atheris.")
    parser.add_argument("--seconds", type=int, default=60, help="over all targets; default 60")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", action="store_true", help="write the corpus of the tests anew")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str]) -> int:
    options = parse(arguments)
    if importlib.util.find_spec("atheris") is None:
        print("atheris is not installed: `make fuzz` installs it", file=sys.stderr)
        return 2
    os.nice(10)
    commit, runs = machine.commit(), list[Run]()
    for target, share in SHARES.items():
        run = fuzz(target, max(1, round(options.seconds * share)), options.seed)
        print(f"{target}: {run.executions:,} inputs in {run.seconds:.0f} s, {run.edges} edges,"
              f" findings: {', '.join(run.findings) or 'none'}", flush=True)  # fmt: skip
        runs.append(run)
    found = reached()
    if options.keep:
        for target in TARGETS:
            keep(target, found["enough"][target])
    facts = {
        **machine.about({"atheris": version("atheris")}),
        "commit": commit,
        "configuration": {"seconds": options.seconds, "seed": options.seed,
                          "memory_max_mib": MEMORY_MAX_MIB, "input_max_s": INPUT_MAX_S},
        "targets": [asdict(run) for run in runs],
        "executions": sum(run.executions for run in runs),
        "findings": sum(len(run.findings) for run in runs),
        "corpus_of_the_tests_bytes": sum(path.stat().st_size for path in CORPUS.iterdir()),
        "lines_reached": found["files"],
    }  # fmt: skip
    path = machine.write_result("fuzz", facts)
    print(f"written: {path}")
    return 1 if facts["findings"] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
