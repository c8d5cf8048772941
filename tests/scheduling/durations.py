"""The time that each file of tests takes, written so that `make test` begins with the longest.

python -m tests.scheduling.durations var/*.xml
"""

import json
import sys
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from xml.etree import ElementTree


def durations_s(reports: Iterable[str]) -> dict[str, float]:
    """Return seconds by file, of reports that pytest wrote with `--junitxml`."""
    found: dict[str, float] = defaultdict(float)
    cases = (case for report in reports for case in ElementTree.parse(report).iter("testcase"))
    for case in cases:
        parts = case.get("classname", "").split(".")
        while parts and not Path(*parts).with_suffix(".py").exists():
            parts.pop()  # the name of a class
        if parts:
            name = Path(*parts).with_suffix(".py").as_posix()
            found[name] += float(case.get("time", "0"))
    return {name: round(seconds, 1) for name, seconds in sorted(found.items())}


if __name__ == "__main__":
    text = json.dumps(durations_s(sys.argv[1:]), indent=1) + "\n"
    Path(__file__).with_name("durations.json").write_text(text, encoding="utf-8")
