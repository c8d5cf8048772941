"""Receives webhooks with FastAPI: verifies that they are ours and new, and prints each event once.

    .venv/bin/pip install fastapi uvicorn standardwebhooks
    WEBHOOK_SECRET=whsec_... .venv/bin/uvicorn --app-dir examples webhook_fastapi:app --port 9999

Put TLS in front of it: outside of development webhooks go to https alone.
"""

import json
import os
import sys
from collections import OrderedDict

from fastapi import BackgroundTasks, FastAPI, HTTPException, Request
from standardwebhooks import Webhook, WebhookVerificationError

MOST_BYTES = 1024 * 1024
REMEMBERED = 10_000  # ids of events; a program that must not forget keeps them in its database

app = FastAPI()
webhook = Webhook(os.environ["WEBHOOK_SECRET"])
seen: OrderedDict[str, None] = OrderedDict()


@app.post("/", status_code=204)
async def receive(request: Request, after_answer: BackgroundTasks) -> None:
    """Answer first; what is slow comes after the answer."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MOST_BYTES:
            raise HTTPException(413)
    try:
        event = webhook.verify(bytes(body), dict(request.headers))  # the bytes as they came
    except (WebhookVerificationError, ValueError) as error:  # ValueError: no base64, no JSON
        print(f"refused: {error}", file=sys.stderr, flush=True)
        raise HTTPException(401) from None
    after_answer.add_task(take, event)


async def take(event: dict[str, object]) -> None:
    """The same event may come twice, even at once: its id says so. Nothing is awaited between the
    look at `seen` and its change; in threads this would need a lock.
    """
    identity = str(event["id"])
    if identity in seen:
        return
    seen[identity] = None
    print(json.dumps(event), flush=True)
    if len(seen) > REMEMBERED:
        seen.popitem(last=False)
