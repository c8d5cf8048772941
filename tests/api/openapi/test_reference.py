"""The reference page works without internet."""

import re

from tests.api.running import RunningApi


async def test_the_page_loads_only_what_this_server_has(api: RunningApi) -> None:
    page = await api.anonymous.get("/docs")
    assert page.headers["Content-Type"].startswith("text/html")
    loaded = re.findall(r'(?:src|href)="([^"]+)"', page.content.decode())
    assert len(loaded) == 4
    for name in loaded:
        answer = await api.anonymous.get(f"/{name}")
        assert answer.status == 200, name
        assert len(answer.content) > 100, name


async def test_the_page_may_run_no_script_but_ours(api: RunningApi) -> None:
    page = await api.anonymous.get("/docs")
    policy = page.headers["Content-Security-Policy"].split("; ")
    assert "default-src 'none'" in policy
    assert "script-src 'self'" in policy
    assert "connect-src 'self'" in policy
    assert not re.search(r"<script>|<script(?! src)|\son\w+=", page.content.decode())
    script = await api.anonymous.get("/docs/start.js")
    assert script.headers["Content-Type"].startswith("text/javascript")
