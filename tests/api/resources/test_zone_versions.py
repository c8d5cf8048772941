"""The versions of all zones over some time, beside those of each zone."""

import random
from datetime import datetime, timedelta
from operator import itemgetter
from typing import Any

from tests.api.running import Organization
from tests.api.shapes import square

_PATH = "/v1/zones/versions"
_US = timedelta(microseconds=1)
_STEPS = 40


async def _live(org: Organization, chance: random.Random) -> list[str]:
    """Make, change, delete and restore zones at random. Returns the ids of all."""
    ids: list[str] = []
    for step in range(_STEPS):
        act = chance.choice(("make", "make", "change", "delete", "restore"))
        if act == "make" or not ids:
            since = {} if chance.random() < 0.5 else {"valid_from": f"2020-01-{step % 28 + 1:02}"}
            if since:
                since["valid_from"] += "T00:00:00Z"
            body = {"name": f"Zone {step}", "geometry": square(step, 1), **since}
            ids.append((await org.dispatcher.post("/v1/zones", body)).json["id"])
            continue
        path = f"/v1/zones/{chance.choice(ids)}"
        if act == "change":
            await org.dispatcher.patch(path, {"geometry": square(step, 2)})
        elif act == "delete":
            await org.dispatcher.delete(path)
        else:
            await org.dispatcher.post(f"{path}/restore", {})
    return ids


async def _walked(org: Organization, **span: str) -> list[dict[str, Any]]:
    """Walk the list in small pages."""
    rows: list[dict[str, Any]] = []
    more: dict[str, str] = {}
    while True:
        page = (await org.viewer.get(_PATH, limit=7, **span, **more)).json
        rows += page["data"]
        assert page["total"] >= len(rows)
        if page["next_cursor"] is None:
            assert page["total"] == len(rows)
            return rows
        more = {"cursor": page["next_cursor"]}


def _in_force(version: dict[str, Any], since: datetime, until: datetime) -> bool:
    """Return whether there is an instant in [since, until) at which the version is in force."""
    begin = datetime.fromisoformat(version["valid_from"])
    end = version["valid_to"] and datetime.fromisoformat(version["valid_to"])
    return max(begin, since) < min(end or until, until)


async def test_what_was_in_force_is_what_the_versions_of_each_zone_say(
    north: Organization, south: Organization
) -> None:
    chance = random.Random(7)
    ids = await _live(north, chance)
    theirs = await _live(south, chance)
    versions: list[dict[str, Any]] = []
    for zone_id in ids:
        of_zone = (await north.viewer.get(f"/v1/zones/{zone_id}/versions", limit=1000)).json
        versions += [{"zone_id": zone_id, **version} for version in of_zone["data"]]
    assert len(versions) > len(ids)
    assert any(version["valid_to"] for version in versions)
    edges = [version[name] for version in versions for name in ("valid_from", "valid_to")]
    edges = sorted({datetime.fromisoformat(edge) for edge in edges if edge})
    spans = [(edge + by, edge + by + _US) for edge in edges for by in (-_US, 0 * _US)]
    spans += [tuple(sorted(chance.sample(edges, 2))) for _ in range(20)]
    for since, until in spans:
        found = await _walked(north, from_=since.isoformat(), to=until.isoformat())
        wanted = [each for each in versions if _in_force(each, since, until)]
        newest_first = sorted(wanted, key=itemgetter("valid_from", "zone_id"), reverse=True)
        assert found == newest_first, (since, until)
    everything = await _walked(north)
    assert {each["zone_id"] for each in everything} == set(ids)
    assert {each["zone_id"] for each in await _walked(south)} == set(theirs)
    assert (await north.viewer.get(_PATH, to="2019-01-01T00:00:00Z")).json["total"] == 0
