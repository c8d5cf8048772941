"""deploy/compose.yaml, deploy/Dockerfile and docs/containers.md fit one another and the rest."""

import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from api.settings import ApiSettings
from ingest.settings import IngestSettings
from listener.settings import ListenSettings
from webhooks.settings import DeliverSettings

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
PAGE = (ROOT / "docs" / "containers.md").read_text()
BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SETTINGS = {
    "listen": ListenSettings,
    "ingest": IngestSettings,
    "deliver": DeliverSettings,
    "api": ApiSettings,
}
READY = re.compile(r"open\('http://127\.0\.0\.1:(\d+)/readyz'\)")
OURS = [".env", "compose.override.yaml"]  # of one machine, and partly secret

Services = dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def env_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The secrets, made by the commands of the page."""
    folder = tmp_path_factory.mktemp("deploy")
    [block] = [block for block in BLOCK.findall(PAGE) if "> .env" in block]
    subprocess.run(["sh", "-euc", block], cwd=folder, check=True)
    return folder / ".env"


@pytest.fixture(scope="module")
def services(env_file: Path) -> Services:
    """The services of compose.yaml, with the secrets filled in."""
    given = dict(line.split("=", 1) for line in env_file.read_text().splitlines())

    def value(found: re.Match[str]) -> str:
        name, default = found.groups()
        return given[name] if default is None else default

    text = (DEPLOY / "compose.yaml").read_text()
    text = re.sub(r"(?<!\$)\$\{(\w+)(?::\?[^}]*|:-([^}]*))?\}", value, text)
    return yaml.safe_load(text)["services"]


def published(service: dict[str, Any]) -> dict[str, str]:
    """Return the container's port of each address on the machine."""
    return dict(port.rsplit(":", 1) for port in service.get("ports", ()))


def test_only_the_owner_reads_the_secrets(env_file: Path) -> None:
    assert env_file.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("name", OURS)
def test_git_ignores_the_files_of_one_machine(name: str) -> None:
    assert f"/deploy/{name}" in (ROOT / ".gitignore").read_text().splitlines()


@pytest.mark.parametrize("name", OURS)
def test_no_image_contains_the_files_of_one_machine(name: str) -> None:
    is_out = False
    for line in (ROOT / ".dockerignore").read_text().splitlines():  # the last match counts
        if line.lstrip("!") in ("*", "deploy", f"deploy/{name}"):
            is_out = not line.startswith("!")
    assert is_out


def test_the_image_is_built_from_every_package() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    packages = project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    let_in = set(re.findall(r"^!(.*)$", (ROOT / ".dockerignore").read_text(), re.MULTILINE))
    assert {*packages, "Makefile", "pyproject.toml", "requirements.lock"} <= let_in


@pytest.mark.parametrize("name", SETTINGS)
def test_a_container_has_what_its_role_needs(services: Services, env_file: Path, name: str) -> None:
    service = services[name]
    assert service["command"] == [name]
    fields = {key.removeprefix("OPSC_").lower(): v for key, v in service["environment"].items()}
    for key in fields.keys() & {"tls_cert", "tls_key"}:
        assert Path(fields[key]).parent == Path("/tls")
        fields[key] = str(env_file)  # any file that can be read
    settings = SETTINGS[name](**fields)
    assert fields.keys() <= settings.model_fields_set


def test_every_container_that_stays_says_whether_it_is_healthy(services: Services) -> None:
    stay = {
        name: service
        for name, service in services.items()
        if service["restart"] == "unless-stopped" and "profiles" not in service
    }
    assert stay.keys() == {"database", *SETTINGS}
    assert all(service["healthcheck"]["test"] for service in stay.values())


@pytest.mark.parametrize("name", SETTINGS)
def test_a_role_is_healthy_where_its_page_says_that_it_is_ready(
    services: Services, name: str
) -> None:
    service = services[name]
    found = READY.search(service["healthcheck"]["test"][-1])
    assert found is not None
    # The API's page of metrics has no /readyz; its own port has.
    address = (
        "0.0.0.0:8000" if name == "api" else service["environment"][f"OPSC_{name.upper()}_HTTP"]
    )
    assert address == f"0.0.0.0:{found[1]}"


@pytest.mark.parametrize("name", SETTINGS)
def test_a_container_has_as_much_time_to_stop_as_its_unit(services: Services, name: str) -> None:
    [unit] = (DEPLOY / "systemd").glob(f"opsc-{name}*.service")
    found = re.search(r"^TimeoutStopSec=(\d+)$", unit.read_text(), re.MULTILINE)
    assert found is not None
    assert int(services[name]["stop_grace_period"].removesuffix("s")) >= int(found[1])


def test_only_the_listener_is_reached_from_other_machines(services: Services) -> None:
    addresses = {address for service in services.values() for address in published(service)}
    assert {address for address in addresses if not address.startswith("127.0.0.1:")} == {"8883"}


@pytest.mark.parametrize(
    ("upstream", "service", "port"), [("api", "api", "8000"), ("listeners", "listen", "5055")]
)
def test_nginx_finds_what_it_passes_on_to(
    services: Services, upstream: str, service: str, port: str
) -> None:
    text = (DEPLOY / "nginx" / "ops-companion.conf").read_text()
    block = text[text.index(f"upstream ops_companion_{upstream}") :].partition("}")[0]
    servers = re.findall(r"server (127\.0\.0\.1:\d+);", block)
    assert servers
    assert {published(services[service])[server] for server in servers} == {port}


def test_prometheus_finds_every_role(services: Services) -> None:
    text = (DEPLOY / "prometheus" / "prometheus.yml").read_text()
    for job in yaml.safe_load(text)["scrape_configs"]:
        if job["job_name"].startswith("opsc-"):
            service = services[job["job_name"].removeprefix("opsc-")]
            [targets] = (config["targets"] for config in job["static_configs"])
            assert set(targets) <= published(service).keys()
