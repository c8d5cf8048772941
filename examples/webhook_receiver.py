"""Receives webhooks: verifies that they are ours and new, and prints each event once.

    WEBHOOK_SECRET=whsec_... .venv/bin/python examples/webhook_receiver.py 9999

Signatures are those of Standard Webhooks 1.0.0, here by hand; the package `standardwebhooks` does
the same. Put TLS in front of it: outside of development webhooks go to https alone.
"""

import base64
import hashlib
import hmac
import http.server
import json
import os
import sys
import threading
import time
from collections import OrderedDict
from collections.abc import Mapping
from typing import ClassVar

MOST_BYTES = 1024 * 1024
TOLERANCE_S = 300  # how far the sender's clock may be from ours
REMEMBERED = 10_000  # ids of events; a program that must not forget keeps them in its database


class NotOurs(Exception):
    """The signature, or the time that it is good for, is wrong."""


def verify(secret: str, headers: Mapping[str, str], body: bytes) -> None:
    """Raises NotOurs."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    moment = headers.get("webhook-timestamp", "")
    if not moment.isdecimal() or abs(time.time() - int(moment)) > TOLERANCE_S:
        raise NotOurs("the timestamp is missing, too old, or of the future")
    signed = f"{headers.get('webhook-id', '')}.{moment}.".encode() + body
    wanted = base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
    # While a secret is being rotated there are two signatures: one has to be right.
    for signature in headers.get("webhook-signature", "").split():
        version, _, given = signature.partition(",")
        if version == "v1" and hmac.compare_digest(given.encode(), wanted.encode()):
            return
    raise NotOurs("no signature is right")


class Receiver(http.server.BaseHTTPRequestHandler):
    """Answers first; what is slow belongs into a queue behind it."""

    timeout = 20
    seen: ClassVar[OrderedDict[str, None]] = OrderedDict()
    lock: ClassVar[threading.Lock] = threading.Lock()

    def do_POST(self) -> None:
        length = self.headers.get("content-length", "")
        if not length.isdecimal() or int(length) > MOST_BYTES:
            self._answer(413)
            return
        body = self.rfile.read(int(length))
        try:
            verify(os.environ["WEBHOOK_SECRET"], self.headers, body)
        except NotOurs as error:
            print(f"refused: {error}", file=sys.stderr, flush=True)
            self._answer(401)
            return
        self._answer(204)
        self._take(json.loads(body))

    def _take(self, event: dict[str, object]) -> None:
        """The same event may come twice, even at once in two threads: its id says so."""
        identity = str(event["id"])
        with self.lock:
            if identity in self.seen:
                return
            self.seen[identity] = None
            if len(self.seen) > REMEMBERED:
                self.seen.popitem(last=False)
            print(json.dumps(event), flush=True)

    def _answer(self, status: int) -> None:
        self.send_response(status)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: the events are what is printed."""


if __name__ == "__main__":
    if len(sys.argv) != 2 or "WEBHOOK_SECRET" not in os.environ:
        sys.exit(__doc__)
    http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Receiver).serve_forever()
