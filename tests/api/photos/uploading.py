"""Files that tests upload as attachments."""

import aiohttp

from tests.api.running import Answer, Client


async def upload(
    client: Client,
    content: bytes,
    name: str = "a.bin",
    headers: dict[str, str] | None = None,
    **parts: str,
) -> Answer:
    """Upload a file, with the fields that name what it belongs to."""
    form = aiohttp.FormData(quote_fields=False)
    for field, value in parts.items():
        form.add_field(field, value)
    form.add_field("file", content, filename=name, content_type="text/html")
    return await client.send("POST", "/v1/attachments", headers=headers, data=form)
