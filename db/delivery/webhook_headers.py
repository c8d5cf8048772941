"""The headers that the owner of a webhook endpoint adds to its requests, in the column
`webhook_endpoints.headers_encrypted`.

A value may be a credential, so all values are sealed and never shown. A header that HTTP, a proxy
or a signature gives its meaning is not the owner's: it could change where a request ends, or what
the receiver believes of it.
"""

import re
from collections.abc import Mapping
from uuid import UUID

import msgspec

from db.core.secrets import SecretBox, UnsealError

HEADERS_MAX = 10
VALUE_LENGTH_MAX = 500

HEADER_NAME = r"^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}$"
HEADER_VALUE = r"^[!-~]([ -~]{0,498}[!-~])?$"
_OWNED = re.compile(
    r"host|date|te|trailer|trailers|upgrade|expect|connection|keep-alive|via|range|forwarded|origin"
    r"|referer|user-agent|alt-svc|http2-settings|max-forwards|age|cache-control|pragma|vary"
    r"|transfer-.*|content-.*|accept.*|if-.*|proxy-.*|sec-.*|access-control-.*|x-forwarded-.*"
    r"|x-real-ip|x-http-method.*|x-original-.*|x-rewrite-.*|webhook-.*|svix-.*|metadata.*|x-aws-.*"
)
_PURPOSE = b" headers"


class WebhookHeaderError(ValueError):
    """A header that no endpoint may have; the text says why. name: of the header."""

    def __init__(self, name: str, text: str) -> None:
        super().__init__(text)
        self.name = name


def check_webhook_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the headers with their names in lower case. Raises WebhookHeaderError."""
    checked: dict[str, str] = {}
    for name, value in headers.items():
        lower = name.lower()
        if re.fullmatch(HEADER_NAME, name) is None:
            raise WebhookHeaderError(name, "the name must be a token of up to 64 characters")
        if _OWNED.fullmatch(lower):
            raise WebhookHeaderError(name, "the system or HTTP sets this header itself")
        if lower in checked:
            raise WebhookHeaderError(name, "the header is given twice")
        if re.fullmatch(HEADER_VALUE, value) is None:
            raise WebhookHeaderError(
                name, "the value must be 1 to 500 printable ASCII characters, no blank at its ends"
            )
        if set(value) == {"*"}:
            raise WebhookHeaderError(
                name, "the value must be given anew: what is shown only stands for it"
            )
        checked[lower] = value
    return checked


def headers_owner(endpoint_id: UUID) -> bytes:
    """Return the owner that an endpoint's headers are sealed for."""
    return endpoint_id.bytes + _PURPOSE


def seal_headers(box: SecretBox, endpoint_id: UUID, headers: Mapping[str, str]) -> bytes | None:
    """Return what is stored of checked headers; None for none."""
    if not headers:
        return None
    return box.seal(msgspec.json.encode(dict(headers)), headers_owner(endpoint_id))


def open_headers(box: SecretBox, endpoint_id: UUID, sealed: bytes | None) -> dict[str, str]:
    """Return what `seal_headers` sealed. Raises UnsealError."""
    if sealed is None:
        return {}
    try:
        plain = box.open(sealed, headers_owner(endpoint_id))
        return msgspec.json.decode(plain, type=dict[str, str])
    except msgspec.DecodeError:
        raise UnsealError("not the headers of an endpoint") from None
