"""What every handler may need, made once per process."""

from dataclasses import dataclass

from api.cursors import Cursors
from api.one_thread import OneThread
from api.passwords import Passwords
from api.settings import ApiSettings
from api.tokens import Tokens
from db.connect import Pool
from db.secretbox import SecretBox


@dataclass(frozen=True, slots=True)
class ApiState:
    """Immutable; lives as long as the application."""

    settings: ApiSettings
    connections: Pool
    tokens: Tokens
    passwords: Passwords
    cursors: Cursors
    secrets: SecretBox
    kept_answers: SecretBox
    geometry: OneThread

    @classmethod
    def build(cls, settings: ApiSettings, connections: Pool) -> "ApiState":
        secret_key = settings.secret_key_bytes
        return cls(
            settings=settings,
            connections=connections,
            tokens=Tokens(secret_key, settings.access_token_lifetime_s),
            passwords=Passwords(),
            cursors=Cursors(secret_key),
            secrets=SecretBox(secret_key),
            kept_answers=SecretBox(secret_key, b"kept-answers"),
            geometry=OneThread("geometry", waiting=16),
        )

    def close(self) -> None:
        """Ends the threads."""
        self.passwords.close()
        self.geometry.close()
