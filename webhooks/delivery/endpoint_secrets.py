"""The secrets of endpoints, decrypted: the keys that sign their webhooks, and their own headers.

An endpoint's are decrypted once and kept while it is among those that were attempted last. What is
kept was made of the very bytes that are stored, so another secret or header is another entry.
"""

from functools import lru_cache
from typing import NamedTuple
from uuid import UUID

from db.core.secrets import SecretBox, UnsealError
from db.delivery.webhook_deliveries import ClaimedEndpoint
from db.delivery.webhook_headers import open_headers
from webhooks.delivery.answer_log import url_secrets
from webhooks.delivery.post import header_lines
from webhooks.delivery.signing import SecretFormatError, signing_key

KEPT_MAX = 2_048


class EndpointSecretsError(Exception):
    """Stored secrets or headers that cannot be decrypted, or are none."""


class EndpointSecrets(NamedTuple):
    """keys: two if there is a secret from before the last rotation. header_lines: as they are sent.
    hidden: the texts that nobody may read, where a receiver answers with them.
    """

    keys: tuple[bytes, ...]
    header_lines: bytes
    hidden: tuple[str, ...]


class EndpointSecretsBox:
    def __init__(self, box: SecretBox) -> None:
        self._box = box
        self._opened = lru_cache(KEPT_MAX)(self._open)

    def of(self, endpoint: ClaimedEndpoint) -> EndpointSecrets:
        """Return the secrets of an endpoint. Raises EndpointSecretsError."""
        return self._opened(
            endpoint.id.int,  # a UUID takes ten times as long to hash
            endpoint.url,
            endpoint.secret_encrypted,
            endpoint.previous_secret_encrypted,
            endpoint.headers_encrypted,
        )

    def _open(
        self, number: int, url: str, secret: bytes, previous: bytes | None, headers: bytes | None
    ) -> EndpointSecrets:
        endpoint_id = UUID(int=number)
        sealed = [
            sealed_secret for sealed_secret in (secret, previous) if sealed_secret is not None
        ]
        try:
            texts = [
                self._box.open(sealed_secret, endpoint_id.bytes).decode()
                for sealed_secret in sealed
            ]
            keys = tuple([signing_key(text) for text in texts])
            own = open_headers(self._box, endpoint_id, headers)
            bare = [text.removeprefix("whsec_") for text in texts]
            hidden = (*own.values(), *texts, *bare, *url_secrets(url))
            return EndpointSecrets(keys, header_lines(own), hidden)
        except (UnsealError, SecretFormatError, ValueError) as error:
            raise EndpointSecretsError(str(error)) from error
