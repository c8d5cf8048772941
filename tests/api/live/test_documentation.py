"""docs/live.md names every close and every bound as they are."""

import re
from pathlib import Path

from api.http.websocket import (
    HEARTBEAT_S,
    LINGER_S,
    MOST_FRAGMENTS,
    MOST_MESSAGE_BYTES,
    MOST_UNREAD,
)
from api.limits.plans import LIVE_CONNECTIONS
from api.live import closing, connection
from api.live.closing import Closing
from api.live.limits import LiveLimits
from api.settings import ApiSettings

PAGE = Path("docs/live.md").read_text()


def test_every_close_is_published() -> None:
    ours = {
        (each.status, each.code) for each in vars(closing).values() if isinstance(each, Closing)
    }
    published = re.findall(r"^\| (\d{4}) \| `(\w+)` \|", PAGE, re.MULTILINE)
    assert {(int(status), code) for status, code in published} == ours
    assert len(published) == len(ours)


def test_every_bound_is_the_one_in_the_code() -> None:
    limits, words = LiveLimits(), " ".join(PAGE.split())
    starter, team, unlimited = LIVE_CONNECTIONS.values()
    processes = ApiSettings.model_fields["api_max_live_connections"].default
    for text in (
        f"{starter} (`starter`), {team} (`team`), {unlimited:,} (`unlimited`)",
        f"`OPSC_API_MAX_LIVE_CONNECTIONS`, {processes:,}",
        f"within {limits.authentication_s} s.",
        f"{limits.expiry_notice_s} s before an access token expires",
        f"checked every {limits.rights_s} s",
        f"after {limits.unchecked_s} s all connections are closed",
        f"in {limits.stuck_s} s, or",
        f"more than {limits.lag_s} s behind",
        f"After {limits.keep_alive_s} s without an event",
        f"asks every {1000 * limits.poll_s:.0f} ms",
        f"{MOST_MESSAGE_BYTES // 1024} KiB in {MOST_FRAGMENTS} fragments",
        f"{connection.MESSAGES_A_SECOND} a second, {connection.MESSAGES_AT_ONCE} at once",
        f"{connection.MESSAGES_AT_ONCE} at once, {MOST_UNREAD} that wait to be handled",
        f"more than {connection.MOST_BAD_MESSAGES} messages",
        f"ping every {HEARTBEAT_S:.0f} s",
        f"taken for {LINGER_S:.0f} s",
    ):
        assert text in words, text
