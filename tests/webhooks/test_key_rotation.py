"""The secret key is replaced while API and delivery run: what was made before stays good."""

import asyncio
import json
from typing import Any

import standardwebhooks
from typer.testing import CliRunner, Result

from db.core.secrets import (
    ENCRYPTION_KEYS,
    KEPT_ANSWERS,
    SecretBox,
    SecretKeys,
    new_secret_key,
    read_secret_keys,
)
from db.delivery.webhook_headers import headers_owner
from db.requests import idempotency
from stack.cli.safekeeping.keys import keys
from stack.servers.checks import secret_keys
from tests.api.running import PASSWORD, Answer, Client, Organization, RunningApi, running_api
from tests.servers import DatabaseUnderTest
from tests.waiting import until
from tests.webhooks import receivers
from tests.webhooks.world import delivering

OLD, NEW, THIRD = (new_secret_key() for _ in range(3))
CREATE = "/v1/webhook-endpoints"


async def _rotate(database: DatabaseUnderTest, ring: str, *options: str) -> Result:
    """Call the command in a thread: it has a loop of its own."""
    environment = {"OPSC_DATABASE_URL": database.url("opsc_owner"), "OPSC_SECRET_KEY": ring}
    arguments = ["rotate", "--json", *options]
    return await asyncio.to_thread(CliRunner().invoke, keys, arguments, env=environment)


async def _doctor(database: DatabaseUnderTest, ring: str) -> str:
    found = await asyncio.to_thread(secret_keys, ring, database.url("opsc_deliver"))
    assert (found.level == "ok") == ("no older one" in found.text)
    return found.text


def _api(database: DatabaseUnderTest, ring: str) -> Any:
    return running_api(database, secret_key=ring, webhook_allow_loopback=True)


async def _create(client: Client, url: str) -> Answer:
    body = {"url": url, "types": ["*"], "headers": {"x-receiver-key": "hunter2"}}
    return await client.send("POST", CREATE, json=body, headers={"Idempotency-Key": "once"})


async def _is_delivered(
    database: DatabaseUnderTest, ring: str, client: Client, endpoint: Any, receiver: Any
) -> None:
    """Send a test; the receiver verifies it by the secret that was shown once."""
    received = len(receiver.requests)
    async with delivering(database, secret_keys=read_secret_keys(ring)):
        sent = await client.post(f"{CREATE}/{endpoint['id']}/test", {"type": "stock.low"})
        assert sent.status == 202, sent.json
        await until(lambda: len(receiver.requests) > received)
    request = receiver.requests[-1]
    standardwebhooks.Webhook(endpoint["secret"]).verify(request.body.decode(), request.headers)
    assert request.headers["x-receiver-key"] == "hunter2"


async def test_what_was_made_before_a_rotation_is_good_after_it(
    database: DatabaseUnderTest,
) -> None:
    async with receivers.well_behaved() as receiver:
        with _api(database, OLD) as api:
            org: Organization = api.organization("North")
            token, refresh = await _signed_in(api, org)
            client = Client(api.url, token)
            for name in ("one", "two"):
                await client.post("/v1/assets", {"name": name})
            cursor = (await client.get("/v1/assets", limit=1)).json["next_cursor"]
            endpoint = (await _create(client, receiver.url)).json
            rotated = await client.post(f"{CREATE}/{endpoint['id']}/rotate", {})
            assert rotated.status == 200
            deleted = await client.post(CREATE, {"url": receiver.url, "types": ["stock.low"]})
            assert (await client.delete(f"{CREATE}/{deleted.json['id']}")).status == 204
            tracker = (await client.post("/v1/trackers", {})).json
            path, key = f"/v1/trackers/{tracker['id']}", {"encryption_key": "s3cretkey"}
            assert (await client.patch(path, key)).json["has_encryption_key"] is True
            pair = (await api.anonymous.post("/v1/auth/refresh", refresh)).json

        ring = f"{NEW},{OLD}"
        with _api(database, ring) as api:
            client = Client(api.url, token)
            page = await client.get("/v1/assets", limit=1, cursor=cursor)
            assert (page.status, len(page.json["data"])) == (200, 1)
            again = await _create(client, receiver.url)
            assert again.headers["Idempotency-Replayed"] == "true"
            assert again.json == endpoint
            # Who repeats a refresh gets the token that the old key gave, and it is good.
            repeated = (await api.anonymous.post("/v1/auth/refresh", refresh)).json
            assert repeated["refresh_token"] == pair["refresh_token"]
            further = {"refresh_token": repeated["refresh_token"]}
            assert (await api.anonymous.post("/v1/auth/refresh", further)).status == 200
            await _is_delivered(database, ring, client, endpoint, receiver)

            behind = await _rotate(database, ring, "--check")
            assert behind.exit_code == 1
            counted = {
                "webhook endpoints": 2,
                "kept answers": 1,
                "encryption keys of trackers": 1,
            }
            none = dict.fromkeys(counted, 0)
            assert json.loads(behind.stdout)["under_older_keys"] == counted
            assert (await _doctor(database, ring)).endswith(
                "2 webhook endpoints are sealed under an older one"
            )
            before = (await client.get(f"{CREATE}/{endpoint['id']}")).headers["ETag"]
            done = await _rotate(database, ring)
            assert done.exit_code == 0, done.output
            assert json.loads(done.stdout) == {
                "keys": 2,
                "sealed_anew": counted,
                "under_older_keys": none,
                "lost": none,
            }
            assert (await client.get(f"{CREATE}/{endpoint['id']}")).headers["ETag"] == before
            assert json.loads((await _rotate(database, ring)).stdout)["sealed_anew"] == none
            assert "no older one is needed" in await _doctor(database, ring)
            assert "2 webhook endpoints are sealed under another one" in await _doctor(
                database, THIRD
            )
            _opens_everything(api, read_secret_keys(NEW))
            fresh = await _signed_in(api, org)

        with _api(database, NEW) as api:
            assert (await Client(api.url, token).get("/v1/assets")).status == 401
            client = Client(api.url, fresh[0])
            again = await _create(client, receiver.url)
            assert (again.headers["Idempotency-Replayed"], again.json) == ("true", endpoint)
            assert (await client.get("/v1/assets", limit=1, cursor=cursor)).status == 400
            await _is_delivered(database, NEW, client, endpoint, receiver)

    lost = await _rotate(database, f"{THIRD},{OLD}", "--check")
    assert lost.exit_code == 1
    assert json.loads(lost.stdout)["lost"] == counted
    # What is lost is left as it is, and found again with its key.
    assert (await _rotate(database, f"{THIRD},{OLD}")).exit_code == 1
    assert (await _rotate(database, NEW, "--check")).exit_code == 0


async def _signed_in(api: RunningApi, org: Organization) -> tuple[str, dict[str, str]]:
    body = {"email": org.email, "password": PASSWORD, "organization_id": org.id}
    pair = (await api.anonymous.post("/v1/auth/token", body)).json
    return pair["access_token"], {"refresh_token": pair["refresh_token"]}


def _opens_everything(api: RunningApi, ring: SecretKeys) -> None:
    """Open each sealed column of the database under this ring."""
    box, answers = SecretBox(ring), SecretBox(ring, KEPT_ANSWERS)
    opened = 0
    for endpoint_id, secret, previous, headers in api.sql(
        "SELECT id, secret_encrypted, previous_secret_encrypted, headers_encrypted"
        " FROM webhook_endpoints"
    ):
        for sealed in filter(None, (secret, previous)):
            assert box.open(sealed, endpoint_id.bytes).startswith(b"whsec_")
            opened += 1
        if headers is not None:
            assert b"hunter2" in box.open(headers, headers_owner(endpoint_id))
            opened += 1
    for org_id, operation, key, sealed in api.sql(
        "SELECT org_id, operation, key, answer_encrypted FROM idempotency_keys"
    ):
        assert b"whsec_" in answers.open(sealed, idempotency.owner(org_id, operation, key))
        opened += 1
    keys = SecretBox(ring, ENCRYPTION_KEYS)
    for tracker_id, sealed in api.sql(
        "SELECT tracker_id, key_encrypted FROM tracker_encryption_keys"
    ):
        assert keys.open(sealed, tracker_id.bytes) == b"s3cretkey"
        opened += 1
    assert opened == 6
    sealed_columns = api.sql(
        "SELECT count(*) FROM information_schema.columns"
        " WHERE table_schema = 'public' AND column_name LIKE '%%\\_encrypted'"
    )
    assert sealed_columns == [(5,)], "a new sealed column belongs into db/maintenance/sealed.py"
