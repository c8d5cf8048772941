"""schemathesis on a running API: every request that the document allows, and many that it does not,
gets an answer that the document has; nothing of another organization is reached."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.request import Request, urlopen

from tests.api.belongings import one_of_everything
from tests.api.running import RunningApi

_HERE = Path(__file__).parent
_REQUEST_TIMEOUT_S = 60  # a thousand zones on a busy machine
_LONG = os.environ.get("AUDIT") == "long"
ROLES = ("admin", "dispatcher", "technician", "viewer") if _LONG else ("admin",)
_EXAMPLES = 30 if _LONG else 3
_SECRET = "southernmost"


@dataclass(frozen=True, slots=True)
class Foreign:
    """The things that the caller must never see: the ids by prefix, and a name that is in every
    text.
    """

    name: str
    ids: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Effort:
    """The extent of what is tried. phases: of schemathesis, with commas between. paths: a regular
    expression.
    """

    phases: str
    examples: int
    paths: str = "."
    seed: int = 1


async def assert_conforms(api: RunningApi, folder: Path, role: str, phases: str) -> None:
    """Assert that some phases find nothing as a user of a role. `folder` is for their files."""
    north, south = api.organization("north"), api.organization(_SECRET)
    await one_of_everything(api, north, "north")
    foreign = Foreign(_SECRET, await one_of_everything(api, south, _SECRET))
    tokens = {"north": getattr(north, role).token, "south": south.admin.token or ""}
    run = conformance(api.url, tokens, "north", foreign, folder, Effort(phases, _EXAMPLES))
    print(run.stdout[run.stdout.rfind("= SUMMARY =") :])
    assert run.returncode == 0, run.stdout[-10_000:] + run.stderr
    assert "Tested: 0" not in run.stdout


def _user_of(url: str, token: str) -> str:
    request = Request(f"{url}/v1/users/me", headers={"Authorization": f"Bearer {token}"})
    with urlopen(request, timeout=10) as answer:
        return json.load(answer)["id"]


def conformance(
    url: str,
    tokens: Mapping[str, str],
    user: str,
    foreign: Foreign,
    folder: Path,
    effort: Effort,
) -> subprocess.CompletedProcess[str]:
    """Run as `user`, who shares nothing with the others that `tokens` has. Exit code 0: no finding.
    `folder` is for files of the run.
    """
    entries = [
        {
            "name": name,
            "fixedHeaders": [{"name": "Authorization", "value": f"Bearer {token}"}],
        }
        for name, token in tokens.items()
    ]
    (folder / "auth.json").write_text(json.dumps({"auth": entries}))
    known = {"name": foreign.name, "ids": foreign.ids, "own_user": _user_of(url, tokens[user])}
    (folder / "foreign.json").write_text(json.dumps(known))
    wfc = {"path": str(folder / "auth.json"), "user": user, "peers": list(tokens)}
    settings = [
        f"hooks = {json.dumps(str(_HERE / 'hooks.py'))}",
        "[auth.wfc]",
        *(f"{key} = {json.dumps(value)}" for key, value in wfc.items()),
        (_HERE / "conformance.toml").read_text(),
    ]
    (folder / "schemathesis.toml").write_text("\n".join(settings))
    command = [
        str(Path(sys.executable).parent / "schemathesis"),
        *("--config-file", str(folder / "schemathesis.toml")),
        *("run", f"{url}/openapi.json", "--url", url, "--checks", "all", "--warnings", "off"),
        *(
            "--exclude-operation-id",
            "signOutCurrentUser",
            "--exclude-operation-id",
            "deleteSession",
        ),
        *("--exclude-operation-id", "streamEvents"),  # it has no end
        *("--include-path-regex", effort.paths),
        *("--phases", effort.phases, "--max-examples", str(effort.examples)),
        *("--seed", str(effort.seed), "--generation-deterministic"),
        *("--request-timeout", str(_REQUEST_TIMEOUT_S)),
        *("--continue-on-failure", "--no-color"),
    ]
    return subprocess.run(
        command,
        cwd=folder,
        env={"AUDIT_FOREIGN": str(folder / "foreign.json"), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
