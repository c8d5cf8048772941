"""One process of an attacker (`benchmarks.hostile.attacks`).

    python -m benchmarks.hostile.attacker NUMBER PORT SECONDS SHARE FIRST_ADDRESS

Waits for a line on stdin, attacks for SECONDS with the attack of that number in the table,
and prints what it did as JSON. SHARE: of one core that it may use.
"""

import json
import os
import resource
import sys
import time
from collections.abc import Sequence

from benchmarks.hostile.attacks import ATTACKS
from benchmarks.hostile.crowd import Crowd, Throttle, addresses

NICE = 10


def main(arguments: Sequence[str]) -> int:
    number, port, seconds, share, first_address = arguments
    attack = ATTACKS[int(number)]
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    crowd = Crowd(int(port), addresses(int(first_address), attack.addresses), attack.door)
    os.nice(NICE)
    sys.stdin.readline()
    throttle, end_s = Throttle(float(share)), time.monotonic() + float(seconds)
    for _ in attack.step(crowd):
        if time.monotonic() > end_s:
            break
        throttle.rest()
    facts = {"cpu_s": round(throttle.used_s, 2), "open": crowd.open, "most": crowd.most}
    crowd.close()
    print(json.dumps({**facts, "done": dict(crowd.done)}))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
