"""Lists all assets, page by page, and then the events since the last time.

    export OPSC_API_URL=http://127.0.0.1:8000 OPSC_API_KEY=opsk_...
    .venv/bin/python examples/dispatcher.py /tmp/seq.txt

A list is walked by its cursor: assets that others make or delete meanwhile cost no row that stays.
Events are numbered without gaps, so the last `seq`, kept in a file, is all that is remembered.
"""

import json
import os
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PAGE = int(os.environ.get("PAGE", "500"))  # 1,000 at most
TIMEOUT_S = 60
TRIES = 5


def get(path: str, **parameters: object) -> dict[str, Any]:
    """One answer. Waits where there were too many requests, and where the server is away."""
    url = f"{os.environ['OPSC_API_URL']}/v1/{path}?{urllib.parse.urlencode(parameters)}"
    headers = {"authorization": f"Bearer {os.environ['OPSC_API_KEY']}"}
    for left in reversed(range(TRIES)):
        try:
            request = urllib.request.Request(url, headers=headers)
            with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            problem = json.load(error)
            if error.code not in (429, 503) or not left:
                sys.exit(f"{problem['code']}: {problem['detail']}")
            time.sleep(int(error.headers.get("retry-after", "1")))
    raise AssertionError


def walk(path: str, **parameters: object) -> Iterator[dict[str, Any]]:
    """All rows of a list."""
    page = get(path, limit=PAGE, **parameters)
    yield from page["data"]
    while page["next_cursor"] is not None:
        # A cursor is good for the list and the filters that it came from: they are sent with it.
        page = get(path, limit=PAGE, cursor=page["next_cursor"], **parameters)
        yield from page["data"]


def main(seq_file: Path) -> None:
    for asset in walk("assets", include="last_position"):
        place = asset["last_position"]
        where = f"{place['lat']:.5f} {place['lon']:.5f}" if place else "not seen yet"
        print(f"{asset['name']}: {where}")
    after = int(seq_file.read_text()) if seq_file.exists() else 0
    for event in walk("events", after=after):
        print(f"{event['seq']} {event['type']} {event['data'].get('zone_name', '')}")
        seq_file.write_text(str(event["seq"]))  # when the event is dealt with, not before


if __name__ == "__main__":
    if len(sys.argv) != 2 or not {"OPSC_API_URL", "OPSC_API_KEY"} <= os.environ.keys():
        sys.exit(__doc__)
    main(Path(sys.argv[1]))
