"""The address of the log."""

import pytest

from service.amqp.address import LogAddress


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("amqp://u:p@h", LogAddress(False, "u", "p", (("h", 5672),), "/")),
        ("amqps://u:p@h/", LogAddress(True, "u", "p", (("h", 5671),), "/")),
        (
            "amqp://o%40x:p%3a@10.0.0.1:1,[::1]:2,c/opsc",
            LogAddress(False, "o@x", "p:", (("10.0.0.1", 1), ("::1", 2), ("c", 5672)), "opsc"),
        ),
        ("amqp://u:p@h/%2F", LogAddress(False, "u", "p", (("h", 5672),), "/")),
    ],
)
def test_urls_are_read(text: str, expected: LogAddress) -> None:
    assert LogAddress.parse(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "amqp://h",
        "amqp://secret@h",
        "http://u:secret@h",
        "amqp://u:secret@h:0",
        "amqp://u:secret@h:65536",
        "amqp://u:secret@h,",
        "amqp://u:secret@",
        "amqp://u:secret@h/a/b",
        "amqp://u:secret@h?x=1",
    ],
)
def test_what_is_no_url_is_an_error_that_shows_no_password(text: str) -> None:
    with pytest.raises(ValueError, match="must be a URL like amqp://") as error:
        LogAddress.parse(text)
    assert "secret" not in str(error.value)
