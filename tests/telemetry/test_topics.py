"""Topics name a tracker and a format, or are not ours."""

import pytest

from telemetry.formats.decode import (
    BY_HTTP,
    BY_IMEI,
    OF_GATEWAYS,
    SUBSCRIPTIONS,
    Format,
    format_of,
    tracker_of,
)
from telemetry.topics import (
    fixes_topic,
    gateway_topic,
    gt06_topic,
    h02_topic,
    is_command_topic,
    meitrack_topic,
    nmea_topic,
    osmand_topic,
    overland_topic,
    packed_topic,
    plain_topic,
    punches_topic,
    queclink_topic,
    teltonika_imei_topic,
    teltonika_topic,
)

TRACKER = "trk_06bqt0k1vhd8f3z7n2mwx9c5ra"


def test_what_is_built_is_parsed() -> None:
    makers = (
        *(fixes_topic, packed_topic, punches_topic, teltonika_topic),
        *(osmand_topic, overland_topic),
    )
    own = tuple(topic(TRACKER) for topic in makers)
    forwarded = tuple(gateway_topic(TRACKER, kind) for kind in ("traccar", "chirpstack", "tts"))
    boxes = (teltonika_imei_topic, gt06_topic, queclink_topic, h02_topic, meitrack_topic)
    others = (*forwarded, *(topic(TRACKER) for topic in boxes), nmea_topic(TRACKER))
    assert {tracker_of(topic) for topic in (*own, *others)} == {TRACKER}
    assert [plain_topic(topic) for topic in own] == list(own)
    assert format_of(punches_topic(TRACKER)) == Format.PUNCHES
    assert format_of(fixes_topic(TRACKER)) == Format.NATIVE
    assert format_of(packed_topic(TRACKER)) == Format.PACKED


def test_every_subscription_is_of_a_format() -> None:
    assert [format_of(topic) for topic in SUBSCRIPTIONS] == [
        form for form in Format if form not in OF_GATEWAYS | BY_HTTP | BY_IMEI
    ]


@pytest.mark.parametrize(
    "topic",
    [
        "",
        "trackers",
        "trackers//fixes",
        f"trackers/{TRACKER}",
        f"trackers/{TRACKER}/lunches",
        f"trackers/{TRACKER}/fixes/",
        f"trackers/{TRACKER}/fixes/more",
        f"/trackers/{TRACKER}/fixes",
        f"Trackers/{TRACKER}/fixes",
        f"owntracks/{TRACKER}",
        f"owntracks/{TRACKER}/",
        "owntracks//phone",
        f"owntracks/more/{TRACKER}/phone",
        f"/owntracks/{TRACKER}/phone",
    ],
)
def test_other_topics_are_not_ours(topic: str) -> None:
    assert tracker_of(topic) != TRACKER


@pytest.mark.parametrize("device", ["phone", "phone/event", "phone/a/b", "+", "trackers"])
def test_whatever_the_app_calls_its_device_the_topic_is_the_trackers(device: str) -> None:
    topic = f"owntracks/{TRACKER}/{device}"
    assert format_of(topic) == Format.OWNTRACKS
    assert plain_topic(topic) == fixes_topic(TRACKER)


@pytest.mark.parametrize(
    ("topic", "is_one"),
    [
        (f"owntracks/{TRACKER}/phone/cmd", True),
        (f"owntracks/{TRACKER}/+/cmd", False),
        (f"owntracks/{TRACKER}/#/cmd", False),
        (f"owntracks/{TRACKER}//cmd", False),
        (f"owntracks/{TRACKER}/phone/cmd/x", False),
        (f"owntracks/{TRACKER}/cmd", False),
        (f"owntracks/{TRACKER}/phone/event", False),
        (f"owntracks/{TRACKER}x/phone/cmd", False),
        (f"trackers/{TRACKER}/phone/cmd", False),
        ("owntracks/+/phone/cmd", False),
    ],
)
def test_commands_have_a_topic_of_one_device(topic: str, is_one: bool) -> None:
    assert is_command_topic(topic, TRACKER) is is_one
