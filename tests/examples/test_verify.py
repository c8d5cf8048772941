"""The example that verifies one webhook with a shell and openssl."""

import base64
import os
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

from standardwebhooks import Webhook

SCRIPT = Path(__file__).parents[2] / "examples" / "webhook_verify.sh"
OLD, NEW, OTHER = (f"whsec_{base64.b64encode(bytes([n]) * 32).decode()}" for n in (1, 2, 255))
BODY = '{"id":"evt_1","name":"Müller 100 %"}'


def _verify(secret: str, body: str = BODY, at: datetime | None = None) -> tuple[int, str]:
    """Return the exit code and what was printed, of a body signed by OLD and NEW."""
    at = at or datetime.now(UTC)
    signatures = [Webhook(key).sign("evt_1", at, BODY) for key in (OLD, NEW)]
    variables = {
        "WEBHOOK_SECRET": secret,
        "WEBHOOK_ID": "evt_1",
        "WEBHOOK_TIMESTAMP": str(int(at.timestamp())),
        "WEBHOOK_SIGNATURE": " ".join(signatures),
    }
    done = subprocess.run(
        ["sh", SCRIPT],
        env=os.environ | variables,
        input=body.encode(),
        capture_output=True,
        check=False,
    )
    return done.returncode, (done.stdout + done.stderr).decode().strip()


def test_what_is_ours_is_told_from_what_is_not() -> None:
    for secret in (OLD, NEW):  # one of two signatures is enough
        assert _verify(secret) == (0, "ours")
    assert _verify(OTHER) == (1, "refused: no signature is right")
    assert _verify(NEW, BODY + " ") == (1, "refused: no signature is right")


def test_what_is_old_or_of_the_future_is_refused() -> None:
    for minutes in (-6, 6):
        at = datetime.now(UTC) + timedelta(minutes=minutes)
        assert _verify(NEW, at=at)[1] == "refused: the timestamp is too old, or of the future"
