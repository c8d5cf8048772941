"""Tracks in files: the same points from each form, and nothing but TraceError for what is none."""

import json
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemetry.times import parse_time_us
from telemetry.tracks import TraceError, TrackFormat, read_track

TIMES = ["2026-01-31T12:00:00Z", "2026-01-31T12:00:01Z"]
GPX = (
    '<gpx version="1.1"><trk><trkseg>'
    f'<trkpt lat="52.5" lon="13.4"><ele>34</ele><time>{TIMES[0]}</time></trkpt>'
    f'<trkpt lat="52.6" lon="13.5"><ele>35</ele><time>{TIMES[1]}</time></trkpt>'
    "</trkseg></trk></gpx>"
)
KML = (
    '<kml xmlns="http://www.opengis.net/kml/2.2" xmlns:gx="http://www.google.com/kml/ext/2.2">'
    "<Document><Placemark><name>Tour</name><gx:Track><altitudeMode>absolute</altitudeMode>"
    f"<when>{TIMES[0]}</when><when>{TIMES[1]}</when>"
    "<gx:coord>13.4 52.5 34</gx:coord><gx:coord>13.5 52.6 35</gx:coord>"
    "</gx:Track></Placemark></Document></kml>"
)
KML_POINTS = (
    "<kml><Folder>"
    f"<Placemark><TimeStamp><when>{TIMES[1]}</when></TimeStamp><Point>"
    "<altitudeMode>absolute</altitudeMode><coordinates>13.5,52.6,35</coordinates></Point>"
    "</Placemark><Placemark><Point><coordinates>1,2</coordinates></Point></Placemark>"
    "<Placemark><LineString><coordinates>1,2 3,4</coordinates></LineString></Placemark>"
    f"<Placemark><TimeStamp><when>{TIMES[0]}</when></TimeStamp><Point>"
    "<altitudeMode>absolute</altitudeMode><coordinates> 13.4,52.5,34 </coordinates></Point>"
    "</Placemark></Folder></kml>"
)
CSV = f"time,lat,lon,altitude_m\n{TIMES[1]},52.6,13.5,35\n\n{TIMES[0]},52.5,13.4,34\n"
NMEA = (
    "$GPRMC,120000.00,A,5230.0000,N,01324.0000,E,,,310126,,,A\r\n"
    "$GPGGA,120000.00,5230.0000,N,01324.0000,E,1,09,0.9,34.0,M,44.9,M,,\r\n"
    "$GPRMC,120000.50,A,5230.0000,N,01324.0000,E,,,310126,,,A*00\r\n"
    "$GPRMC,120001.00,A,5236.0000,N,01330.0000,E,,,310126,,,A\r\n"
    "$GPGGA,120001.00,5236.0000,N,01330.0000,E,1,09,0.9,35.0,M,44.9,M,,\r\n"
)
LINE = {
    "type": "Feature",
    "geometry": {"type": "LineString", "coordinates": [[13.4, 52.5, 34], [13.5, 52.6, 35]]},
    "properties": {"coordTimes": TIMES},
}
POINTS = {
    "type": "FeatureCollection",
    "features": [
        {
            "type": "Feature",
            "geometry": {"type": "Point", "coordinates": coordinates},
            "properties": {"time": time},
        }
        for time, coordinates in zip(TIMES, LINE["geometry"]["coordinates"], strict=True)
    ],
}
FILES: list[tuple[TrackFormat, str]] = [
    ("gpx", GPX),
    ("kml", KML),
    ("kml", KML_POINTS),
    ("csv", CSV),
    ("csv", "\ufeff" + CSV.replace("\n", "\r\n")),
    ("nmea", NMEA),
    ("geojson", json.dumps(LINE)),
    ("geojson", json.dumps(POINTS)),
]


@pytest.mark.parametrize(("form", "text"), FILES)
def test_each_form_says_the_same(form: TrackFormat, text: str) -> None:
    track = read_track(form, text.encode())
    rows = track.points.rows
    assert rows["time_us"].tolist() == [parse_time_us(time) for time in TIMES]
    assert np.allclose(rows["lat"], [52.5, 52.6])
    assert np.allclose(rows["lon"], [13.4, 13.5])
    assert rows["altitude_m"].tolist() == [34, 35]
    assert len(track.faults) == (form == "nmea")


def test_a_gga_belongs_to_the_rmc_of_its_own_day() -> None:
    place = "5230.0000,N,01324.0000,E"
    lines = [
        f"$GPGGA,{hour:02}0000.00,{place},1,09,0.9,{day}.0,M,44.9,M,,\r\n"
        f"$GPRMC,{hour:02}0000.00,A,{place},,,{day:02}0126,,,A\r\n"
        for day in range(1, 29)
        for hour in range(24)
    ]
    rows = read_track("nmea", "".join(lines).encode()).points.rows
    assert rows["altitude_m"].tolist() == [day for day in range(1, 29) for _ in range(24)]


@pytest.mark.parametrize("name", ["cp037", "euc-jp", "utf-7", "idna", "base64", "foo", "utf-16"])
@pytest.mark.parametrize("codec", ["ascii", "utf-16"])
@pytest.mark.parametrize("blanks", [1, 5_000])
def test_an_encoding_that_hides_what_a_file_has_is_refused(
    name: str, codec: str, blanks: int
) -> None:
    declared = f'<?xml version="1.0"{" " * blanks}encoding="{name}"?>' + GPX
    with pytest.raises(TraceError, match="UTF-8"):
        read_track("gpx", declared.encode(codec))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (GPX, "the root element must be kml"),
        (KML.replace("<gx:coord>13.5 52.6 35</gx:coord>", ""), "2 times and 1 positions"),
        (KML.replace("13.5 52.6", "13.5 north"), "point 2: lat 'north' is not a number"),
        (KML.replace("13.5 52.6", "13.5 99"), "point 2: lat"),
        (KML.replace("13.5 52.6 35", "13.5"), "point 2: lat"),
        (KML.replace(TIMES[1], "noon"), "point 2: time 'noon'"),
        (KML_POINTS.replace("when>", "begin>"), "there is no point in the file"),
        (f"<!DOCTYPE kml [<!ENTITY a 'b'>]>{KML}", "entities and document types are not read"),
    ],
)
def test_kml_that_is_no_track_says_what_is_wrong(text: str, problem: str) -> None:
    with pytest.raises(TraceError, match=problem):
        read_track("kml", text.encode())


def test_an_altitude_above_the_ground_of_kml_is_not_known() -> None:
    text = KML.replace("<altitudeMode>absolute</altitudeMode>", "")
    assert not read_track("kml", text.encode()).points.rows["known"].any()


def test_rmcs_of_one_time_beyond_a_message_are_a_fault() -> None:
    track = read_track("nmea", (NMEA.splitlines()[0] + "\n").encode() * 1_001)
    assert (len(track.points), len(track.faults)) == (0, 1)


def test_a_log_whose_clock_jumps_all_the_time_is_refused() -> None:
    line = "$GPRMC,{}0000.00,A,5230.0000,N,01324.0000,E,,,310126,,,A\r\n"
    with pytest.raises(TraceError, match="goes back too often"):
        read_track("nmea", ((line.format("23") + line.format("01")) * 3_000).encode())


@pytest.mark.parametrize(
    ("form", "content"),
    [
        ("gpx", GPX.replace("</gpx>", "<a/>" * 10_000 + "</gpx>")),
        ("gpx", GPX.replace("</time>", "</time>" + "<a/>" * 10_000)),
        ("gpx", GPX.replace("<gpx ", "<gpx " + "".join(f'a{n}="" ' for n in range(10_000)))),
        ("kml", KML.replace("</kml>", "<a/>" * 10_000 + "</kml>")),
        ("kml", KML.replace("<gx:coord>", "<when/>" * 700_000 + "<gx:coord>", 1)),
        ("csv", CSV + "\n" * 500_000),
        ("nmea", NMEA + "a\n" * 1_000_001),
        ("geojson", "[" + "[]," * 500_000 + "[]]"),
        ("geojson", "[" + "{}," * 900_000 + "{}]"),
        ("geojson", '["' + '","' * 4_000_000 + '"]'),
    ],
)
def test_a_file_that_is_made_to_cost_memory_is_refused(form: TrackFormat, content: str) -> None:
    with pytest.raises(TraceError):
        read_track(form, content.encode())


@pytest.mark.parametrize(("form", "text"), FILES)
def test_a_file_that_is_cut_anywhere_is_read_or_refused(form: TrackFormat, text: str) -> None:
    content = text.encode()
    for length in range(len(content)):
        with suppress(TraceError):
            assert len(read_track(form, content[:length]).points) <= 2


@given(
    form=st.sampled_from(["gpx", "kml", "csv", "nmea", "geojson"]),
    content=st.binary(max_size=200)
    | st.text("<>{}[],\"'0123456789.$*NETZ:-\n gpxtrkptimelatlonRMC", max_size=200).map(str.encode),
)
def test_noise_is_refused(form: TrackFormat, content: bytes) -> None:
    with suppress(TraceError):
        read_track(form, content)


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    ["type", "geometry", "coordinates", "properties", "coordTimes", "time"]
                ),
                inner | st.sampled_from(["Feature", "LineString", "Point", *TIMES]),
                max_size=4,
            )
        ),
        max_leaves=12,
    )
)
def test_any_json_is_read_or_refused(document: object) -> None:
    with suppress(TraceError):
        read_track("geojson", json.dumps({"type": "Feature", "geometry": document}).encode())
        read_track("geojson", json.dumps(document).encode())
