"""A forking process whose answers are longer than any buffer between it and who asks."""

from api.limits.forking_process import ChildLimits, serve

ANSWER_BYTES = 32 << 20
LIMITS = ChildLimits(cpu_s=5, wall_s=30, memory_bytes=1 << 30)


def answer(_message: bytes) -> bytes:
    return bytes(ANSWER_BYTES)


if __name__ == "__main__":
    serve(lambda: None, answer, LIMITS)
