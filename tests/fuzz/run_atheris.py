"""Fuzzes one target with atheris, until libFuzzer's options say that it is enough.

    python -m tests.fuzz.run_atheris TARGET FOLDER [libFuzzer's options]

`make fuzz` calls it for each target (`benchmarks/fuzz.py`).
"""

import random
import sys

import atheris

_INSTRUMENTED = [
    "mqtt.server", "telemetry", "listener.devices.proxy_protocol", "listener.link.outbox",
    "listener.link.ingest_link",
    "ingest.sources.link",
]  # fmt: skip
STEPS = 16
"""Kinds of steps in a script of `tests.fuzz.script`."""


def mutated(data: bytes, max_size: int, seed: int) -> bytes:
    """Change a script: put in, repeat or drop a few steps; or change bytes, as libFuzzer does."""
    chosen = random.Random(seed)
    if chosen.random() < 0.5:
        return atheris.Mutate(data, max_size)
    at = 2 + chosen.randrange(max(1, len(data) - 1))
    kind = chosen.randrange(3)
    if kind == 0:
        step = bytes((chosen.randrange(STEPS), *chosen.randbytes(chosen.randrange(1, 6))))
        data = data[:at] + step + data[at:]
    elif kind == 1:
        data = data[:at] + data[at - min(8, at) : at] + data[at:]
    else:
        data = data[:at] + data[at + chosen.randrange(1, 6) :]
    return data[:max_size]


def main() -> None:
    name = sys.argv.pop(1)
    with atheris.instrument_imports(include=_INSTRUMENTED, enable_loader_override=False):
        from tests.fuzz.targets import TARGETS, log_errors_only
    log_errors_only()
    how = {"custom_mutator": mutated} if name == "machine" else {}
    atheris.Setup(sys.argv, TARGETS[name], **how)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
