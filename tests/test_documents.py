"""The documents at the front say what is in the tree: map, links, settings, lock file."""

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic_core import PydanticUndefined
from pydantic_settings import BaseSettings

from api.settings import ApiSettings
from db.resources.quotas import ROWS
from ingest.settings import IngestSettings
from listener.settings import ListenSettings
from webhooks.settings import DeliverSettings

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
PACKAGES = {path.parent.name for path in ROOT.glob("*/__init__.py")}
ROLES: dict[str, type[BaseSettings]] = {
    "listen": ListenSettings,
    "ingest": IngestSettings,
    "api": ApiSettings,
    "deliver": DeliverSettings,
}
# Folders that every system has, so that a path below them is nobody's in particular.
SYSTEM_FOLDERS = {"bin", "dev", "etc", "opt", "proc", "root", "tmp", "usr", "var"}

architecture = (ROOT / "ARCHITECTURE.md").read_text()
settings_page = (ROOT / "docs" / "settings.md").read_text()


def rows_under(heading: str, text: str) -> Iterator[list[str]]:
    """Yield the cells of the first table below a heading, without its first two lines."""
    lines = iter(text[text.index(f"\n{heading}\n") :].splitlines())
    table: list[str] = []
    for line in lines:
        if line.startswith("|"):
            table.append(line)
        elif table:
            break
    for line in table[2:]:
        yield [cell.strip() for cell in line.strip("|").split("|")]


def allowed_imports() -> dict[str, set[str]]:
    """Map each package to the packages of ours that the code map lets it import."""
    allowed: dict[str, set[str]] = {}
    for package, _, may_import in rows_under("## Code map", architecture):
        name = package.strip("`/")
        if may_import == "all of them":
            allowed[name] = PACKAGES
        else:
            allowed[name] = set(may_import.replace("-", "").replace(",", " ").split())
    return allowed


def imports_of(package: str) -> set[str]:
    """Return top-level names that the modules of a package import, itself apart."""
    names: set[str] = set()
    for path in (ROOT / package).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                names |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                names.add(node.module.partition(".")[0])
    return names - {package}


def test_the_code_map_has_every_package_and_no_other() -> None:
    assert allowed_imports().keys() == PACKAGES


@pytest.mark.parametrize("package", sorted(PACKAGES))
def test_packages_import_only_what_the_code_map_allows(package: str) -> None:
    assert imports_of(package) & PACKAGES <= allowed_imports()[package]


@pytest.mark.parametrize(
    "name", ["ARCHITECTURE.md", "CONTRIBUTING.md", "docs/where.md", "docs/decisions"]
)
def test_files_that_are_named_exist(name: str) -> None:
    pages = [ROOT / name] if (ROOT / name).is_file() else sorted((ROOT / name).glob("*.md"))
    named = r"`(\.?\w[\w./-]*/|[\w./-]+/[\w.-]+\.(?:py|sql|md|json))`"
    paths = {path for page in pages for path in re.findall(named, page.read_text())}
    made_when_run = {path for path in paths if path.startswith(("var/", ".venv/"))}
    examples = {path for path in paths if "NNNN" in path}
    assert paths
    assert [p for p in paths - made_when_run - examples if not (ROOT / p).exists()] == []


def test_every_question_is_answered_by_a_path() -> None:
    page = (ROOT / "docs" / "where.md").read_text()
    first = page.partition("## First questions\n")[2].partition("\n## ")[0]
    answers = [
        answer for _, answer in re.findall(r"^- \*\*(.+?\?)\*\*(.*(?:\n  .*)*)", first, re.M)
    ]
    answers += [answer for question, answer in re.findall(r"^\| (.+\?) \| (.*) \|$", page, re.M)]
    assert len(answers) > 20
    assert [answer for answer in answers if not re.search(r"`[\w.]+/[^`]*`", answer)] == []


@pytest.mark.parametrize("name", ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md"])
def test_newcomers_are_led_to_the_questions(name: str) -> None:
    assert "(docs/where.md)" in (ROOT / name).read_text()


def test_the_picture_of_wings_and_floors_is_that_of_the_import_contracts() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wings, *others = settings["tool"]["importlinter"]["contracts"]
    drawn_wings, drawn_floors = floors_drawn()
    assert drawn_wings == wings["layers"]
    assert drawn_floors == {
        contract["containers"][0]: [
            floor
            for floor in (set(re.split(r" [|:] ", layer)) for layer in contract["layers"])
            if floor != {"__main__"}
        ]
        for contract in others
        if "containers" in contract
    }


@pytest.mark.parametrize("way", ["fix", "request", "event"])
def test_a_way_leads_through_at_most_ten_files(way: str) -> None:
    text = architecture.partition(f"## The way of a{'n' if way == 'event' else ''} {way}\n")[2]
    steps = text.lstrip().partition("\n\n")[0]
    assert 5 < len(set(re.findall(r"`([\w/]+\.py)`", steps))) <= 10


def floors_drawn() -> tuple[list[str], dict[str, list[set[str]]]]:
    """Return the wings of ARCHITECTURE.md from the top down, and the floors of each wing."""
    picture = architecture.partition("## Wings and floors")[2].split("```")[1].strip()
    wings, floors = re.sub(r"\n +", " ", picture).split("\n\n")
    return wings.splitlines(), {
        line.split()[0]: [set(floor.split(", ")) for floor in line.split(None, 1)[1].split(" > ")]
        for line in floors.splitlines()
    }


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_relative_links_lead_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", document.read_text()):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        page = document.parent / path if path else document
        assert page.exists(), target
        if anchor:
            assert anchor in anchors(page), target


def anchors(page: Path) -> set[str]:
    """Return the names that a page's headings have as link targets."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_table_has_a_head_and_no_gap(document: Path) -> None:
    text = re.sub(r"^ *```.*?^ *```$", "", document.read_text(), flags=re.MULTILINE | re.DOTALL)
    tables = re.findall(r"(?:^\|.*\n?)+", text, re.MULTILINE)
    assert [table for table in tables if not re.match(r".*\n\|[-:| ]+\|\n", table)] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_document_names_a_folder_of_one_machine(document: Path) -> None:
    text = document.read_text()
    assert str(ROOT) not in text
    first_folders = set(re.findall(r"(?<![\w./:{}<>*)-])/([a-zA-Z][\w-]*)/", text))
    assert [f for f in first_folders - SYSTEM_FOLDERS if Path("/", f).is_dir()] == []


def test_the_index_of_documents_is_complete() -> None:
    index = (ROOT / "docs" / "README.md").read_text()
    pages = [p for p in DOCUMENTS if p.is_relative_to(ROOT / "docs") and p.name != "README.md"]
    missing = [p.name for p in pages if f"({p.relative_to(ROOT / 'docs')})" not in index]
    assert missing == []


def test_every_page_is_two_clicks_from_the_readme() -> None:
    first = links(ROOT / "README.md")
    second = {page for document in first if document in DOCUMENTS for page in links(document)}
    assert set(DOCUMENTS) <= first | second | {ROOT / "README.md"}


def links(document: Path) -> set[Path]:
    """Return the files that a page links to."""
    targets = re.findall(r"\]\(([^)\s#]+)[^)\s]*\)", document.read_text())
    return {(document.parent / target).resolve() for target in targets if "://" not in target}


def test_decisions_are_numbered_without_gaps() -> None:
    decisions = sorted((ROOT / "docs" / "decisions").glob("*.md"))
    assert [int(path.name[:4]) for path in decisions] == list(range(1, len(decisions) + 1))
    for number, path in enumerate(decisions, start=1):
        assert path.read_text().startswith(f"# {number}. "), path.name


def test_the_settings_of_the_roles_are_documented_with_their_defaults() -> None:
    documented: dict[str, dict[str, str]] = {role: {} for role in ROLES}
    for variable, *marks, default, _ in rows_under("## Roles", settings_page):
        for role, mark in zip(ROLES, marks, strict=True):
            if mark == "x":
                documented[role][variable.strip("`")] = default.strip("`")
    assert documented == {role: defaults(settings) for role, settings in ROLES.items()}


def defaults(settings: type[BaseSettings]) -> dict[str, str]:
    """Map each variable to its default, as the page writes it."""
    prefix = settings.model_config.get("env_prefix", "")
    return {
        f"{prefix}{name}".upper(): written(field.default)
        for name, field in settings.model_fields.items()
    }


def written(default: object) -> str:
    if default is None or default is PydanticUndefined:
        return "-"
    return str(default).lower() if isinstance(default, bool) else str(default)


def test_the_quotas_of_rows_are_documented() -> None:
    page = (ROOT / "docs" / "api.md").read_text()
    documented = {
        quota.strip("`"): [int(limit.replace(",", "")) for limit in limits]
        for quota, *limits in rows_under("### Rows", page)
    }
    assert documented == {table: list(by_plan.values()) for table, by_plan in ROWS.items()}


def test_every_variable_that_the_sources_name_is_documented_and_no_other() -> None:
    sources = [ROOT / "Makefile", *(path for p in PACKAGES for path in (ROOT / p).rglob("*.py"))]
    named = {name for path in sources for name in variables(path.read_text())}
    for settings in ROLES.values():
        named |= defaults(settings).keys()
    assert variables(settings_page) == named


def variables(text: str) -> set[str]:
    return set(re.findall(r"\bOPSC_[A-Z][A-Z0-9_]*[A-Z0-9]\b", text))


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_documents_name_only_variables_that_exist(document: Path) -> None:
    assert variables(document.read_text()) <= variables(settings_page)


def test_the_lock_file_has_no_address() -> None:
    assert "://" not in (ROOT / "requirements.lock").read_text()
