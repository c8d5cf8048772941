"""MQTT topics of trackers. They say the format: `telemetry.formats.decode.DECODERS`."""

_OWNTRACKS = "owntracks/"


def fixes_topic(tracker_id: str) -> str:
    """Return where a tracker publishes JSON or MessagePack."""
    return f"trackers/{tracker_id}/fixes"


def packed_topic(tracker_id: str) -> str:
    """Return where a tracker publishes packed records."""
    return f"trackers/{tracker_id}/packed"


def teltonika_topic(tracker_id: str) -> str:
    """Return where a tracker publishes packets of Teltonika's codecs."""
    return f"trackers/{tracker_id}/teltonika"


def nmea_topic(tracker_id: str) -> str:
    """Return where a tracker publishes sentences of NMEA 0183."""
    return f"trackers/{tracker_id}/nmea"


def teltonika_imei_topic(tracker_id: str) -> str:
    """Return the topic of the same packets where the device said no more than its IMEI."""
    return f"trackers/{tracker_id}/teltonika-imei"


def gt06_topic(tracker_id: str) -> str:
    """Return the topic of frames of GT06, whose devices say no more than their IMEI."""
    return f"trackers/{tracker_id}/gt06"


def queclink_topic(tracker_id: str) -> str:
    """Return the topic of Queclink's reports, whose devices say no more than their IMEI."""
    return f"trackers/{tracker_id}/queclink"


def h02_topic(tracker_id: str) -> str:
    """Return the topic of sentences of H02, whose devices say no more than their id."""
    return f"trackers/{tracker_id}/h02"


def meitrack_topic(tracker_id: str) -> str:
    """Return the topic of Meitrack's packets, whose devices say no more than their IMEI."""
    return f"trackers/{tracker_id}/meitrack"


def osmand_topic(tracker_id: str) -> str:
    """Return the topic of positions as OsmAnd and Traccar Client send them."""
    return f"trackers/{tracker_id}/osmand"


def overland_topic(tracker_id: str) -> str:
    """Return the topic of locations as Overland sends them."""
    return f"trackers/{tracker_id}/overland"


def gateway_topic(tracker_id: str, kind: str) -> str:
    """Return the topic of what a gateway of that kind forwards of the tracker."""
    return f"trackers/{tracker_id}/{kind}"


def owntracks_topic(tracker_id: str, device: str) -> str:
    """Return the topic of an app of OwnTracks."""
    return f"{_OWNTRACKS}{tracker_id}/{device}"


def is_command_topic(topic: str, tracker_id: str) -> bool:
    """Return whether an app of OwnTracks that is this tracker hears commands on a topic."""
    levels = topic.split("/")
    is_own = len(levels) == 4 and topic.startswith(owntracks_topic(tracker_id, ""))
    return is_own and levels[3] == "cmd" and levels[2] not in ("", "+", "#")


def punches_topic(tracker_id: str) -> str:
    """Return where a tracker publishes punches."""
    return f"trackers/{tracker_id}/punches"


def ack_topic(tracker_id: str) -> str:
    """Return where a tracker hears what became of its messages, if it wants receipts."""
    return f"trackers/{tracker_id}/ack"


def is_of_owntracks(topic: str) -> bool:
    """Return whether an OwnTracks app publishes there: `owntracks/{tracker_id}/{device}/...`."""
    return topic.startswith(_OWNTRACKS)


def plain_topic(topic: str) -> str:
    """Return the topic of fixes of the tracker whose topic it is, if an app of OwnTracks publishes
    there; else the topic itself.
    """
    if not is_of_owntracks(topic):
        return topic
    tracker_id, _, device = topic.removeprefix(_OWNTRACKS).partition("/")
    return fixes_topic(tracker_id) if device else topic


def is_own_filter(wanted: str, tracker_id: str) -> bool:
    """Return whether a tracker may subscribe to a filter: its own topics, and what OwnTracks asks
    for.
    """
    own = f"trackers/{tracker_id}"
    return wanted == own or wanted.startswith((f"{own}/", f"{_OWNTRACKS}{tracker_id}/"))
