"""The place of a store, as a setting says it."""

import pytest

from archive.store import StoreUrl

pytestmark = pytest.mark.every_python


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("file:///a/b%20c/", StoreUrl(None, "/a/b c")),
        ("s3://bucket", StoreUrl("bucket", "")),
        ("s3://bucket/some/where/?region=x", StoreUrl("bucket", "some/where", region="x")),
        (
            "s3://k:s%2F@bucket/p?endpoint=localhost:9000&scheme=http",
            StoreUrl("bucket", "p", "k", "s/", endpoint="localhost:9000", scheme="http"),
        ),
    ],
)
def test_a_url_names_a_folder_or_a_bucket(text: str, url: StoreUrl) -> None:
    assert StoreUrl.read(text) == url


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nowhere",
        "/var/archive",
        "file://host/archive",
        "file:archive",
        "file:///archive?region=x",
        "s3:///prefix",
        "s3://bucket?place=x",
        "s3://bucket?scheme=ftp",
        "s3://bucket?region",
        "s3://key@bucket",
        "http://bucket",
    ],
)
def test_what_is_no_such_url_is_refused_and_not_shown(text: str) -> None:
    with pytest.raises(ValueError, match="must") as told:
        StoreUrl.read(text)
    assert not text or text not in str(told.value)
