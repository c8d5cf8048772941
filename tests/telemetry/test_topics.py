"""Topics name a tracker and a format, or are not ours."""

import pytest

from telemetry.topics import (
    SUBSCRIPTIONS,
    Format,
    fixes_topic,
    format_of,
    packed_topic,
    parse_topic,
)

TRACKER = "trk_06bqt0k1vhd8f3z7n2mwx9c5ra"


def test_what_is_built_is_parsed() -> None:
    assert parse_topic(fixes_topic(TRACKER)) == (TRACKER, Format.NATIVE)
    assert parse_topic(packed_topic(TRACKER)) == (TRACKER, Format.PACKED)
    assert format_of(fixes_topic(TRACKER)) == Format.NATIVE
    assert format_of(packed_topic(TRACKER)) == Format.PACKED


def test_every_subscription_is_of_a_format() -> None:
    topics = [subscription.replace("+", TRACKER) for subscription in SUBSCRIPTIONS]
    assert {parse_topic(topic) for topic in topics} == {(TRACKER, form) for form in Format}


@pytest.mark.parametrize(
    "topic",
    [
        "",
        "trackers",
        "trackers//fixes",
        f"trackers/{TRACKER}",
        f"trackers/{TRACKER}/punches",
        f"trackers/{TRACKER}/fixes/",
        f"trackers/{TRACKER}/fixes/more",
        f"/trackers/{TRACKER}/fixes",
        f"Trackers/{TRACKER}/fixes",
        f"owntracks/{TRACKER}/phone",
    ],
)
def test_other_topics_are_not_ours(topic: str) -> None:
    assert parse_topic(topic) is None
