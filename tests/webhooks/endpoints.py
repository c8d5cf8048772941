"""Endpoints of a test: changed, disabled, and what is stored of their attempts."""

from typing import Any

from tests.webhooks.world import Endpoint, World


async def change_endpoint(world: World, endpoint: Endpoint, **columns: Any) -> None:
    for name, value in columns.items():
        await world.admin.execute(
            f"UPDATE webhook_endpoints SET {name} = %s WHERE id = %s",
            (value, endpoint.id),
        )


async def attempts_of(world: World, org_id) -> list[Any]:
    columns = (
        "status, error, duration_ms IS NOT NULL, response_headers, response_body,"
        " next_attempt_at IS NOT NULL"
    )
    return await world.rows("webhook_attempts", columns, "attempted_at", org_id)


async def has_attempts(world: World, org_id, number: int) -> bool:
    return len(await attempts_of(world, org_id)) >= number


async def disable(world: World, endpoint: Endpoint) -> None:
    await world.admin.execute(
        "UPDATE webhook_endpoints SET state = 'disabled', disabled_reason = 'user',"
        " disabled_at = now() WHERE id = %s",
        (endpoint.id,),
    )


async def no_failures(world: World, org_id) -> bool:
    return not await world.rows("webhook_failures", "true", "failed_at", org_id)
