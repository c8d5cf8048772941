"""schemathesis on a running API: every request that the document allows, and many that it does not,
gets an answer that the document has; nothing of another organization is reached."""

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.request import Request, urlopen

_HERE = Path(__file__).parent
_REQUEST_TIMEOUT_S = 60  # a thousand zones on a busy machine
ALL_PHASES = "examples,coverage,fuzzing,stateful"


@dataclass(frozen=True, slots=True)
class Foreign:
    """The things that the caller must never see: the ids by prefix, and a name that is in every
    text.
    """

    name: str
    ids: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Effort:
    """The extent of what is tried."""

    phases: str = ALL_PHASES
    examples: int = 20
    seed: int = 1


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
