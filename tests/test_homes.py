"""SQL is written in `db` alone; ARCHITECTURE.md names the exceptions. Folders stay small.

The homes of third parties are contracts of import-linter in pyproject.toml.
"""

import ast
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# Measurements have SQL of their own.
PACKAGES = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"db", "benchmarks", "tests"}
EXCEPTIONS = {
    "api/resources/health.py": "asks for 1",
    "stack/cli/safekeeping/backup.py": "reads a whole database",
    "stack/cli/organizations/as_owner.py": "takes the owner's role",
    "stack/cli/organizations/org.py": "takes the owner's role",
    "stack/cli/organizations/delete.py": "takes the owner's role",
    "stack/cli/safekeeping/restore.py": "makes a whole database",
    "stack/cli/organizations/user.py": "takes the owner's role",
    "stack/cli/verify.py": "takes the owner's role",
    "stack/servers/system.py": "makes the database",
}
SQL = re.compile(
    r"\s*(SELECT|INSERT INTO|UPDATE|DELETE FROM|WITH|TRUNCATE|COPY|LOCK TABLE|CREATE|ALTER|DROP"
    r"|GRANT|REVOKE|SET|DO|ANALYZE|VACUUM|LISTEN|NOTIFY|BEGIN( ISOLATION.*)?$)\b"
    r"|.*\b(FROM|WHERE|VALUES|RETURNING|ORDER BY|GROUP BY|ON CONFLICT)\b",
    re.DOTALL,
)


def sql_in(source: str) -> Iterator[int]:
    """Yield the line of each string that is SQL, whole or a part."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str | bytes):
            text = node.value if isinstance(node.value, str) else node.value.decode("latin-1")
            if SQL.match(text):
                yield node.lineno


@pytest.mark.parametrize(
    "planted",
    [
        'conn.execute("SELECT id FROM assets")',
        'conn.execute(b"SELECT 1")',
        'conn.execute(f"UPDATE {table} SET name = %s", name)',
        'STATEMENT = """\n    INSERT INTO assets (org_id) VALUES (%s)\n"""',
        'STATEMENT = """\n    WITH gone AS (DELETE FROM assets RETURNING id) SELECT FROM gone"""',
        'sql.SQL("{} WHERE org_id = %s").format(start)',
        'cursor.copy("COPY gps_events FROM STDIN (FORMAT BINARY)")',
        'await conn.execute("SET LOCAL lock_timeout = 0")',
        'await conn.execute("BEGIN")',
    ],
)
def test_sql_is_found(planted: str) -> None:
    assert set(sql_in(f"async def planted():\n    {planted}")) == {2}


@pytest.mark.parametrize(
    "text", ["Select a page.", "from BEGIN to COMMIT", "VALID_FROM", "BEGIN to COMMIT", "WITHOUT"]
)
def test_what_is_no_sql_is_not_found(text: str) -> None:
    assert list(sql_in(repr(text))) == []


def test_sql_is_written_in_db_alone() -> None:
    found = {
        path.relative_to(ROOT).as_posix()
        for package in PACKAGES
        for path in (ROOT / package).rglob("*.py")
        if any(sql_in(path.read_text("utf-8")))
    }
    assert found == set(EXCEPTIONS)


def test_no_folder_has_more_modules_than_a_reader_takes_in() -> None:
    """A folder `resources/` may: it lists the kinds. Pages, migrations and data are no modules."""
    numbers = Counter(
        path.parent.relative_to(ROOT)
        for package in ROOT.glob("*/__init__.py")
        for path in package.parent.rglob("*.py")
        if path.name != "__init__.py" and path.parent.name != "resources"
    )
    assert sum(numbers.values()) > 1000
    assert {str(folder): number for folder, number in numbers.items() if number > 15} == {}


def test_what_nobody_foresaw_is_caught_where_the_architecture_says_so() -> None:
    page = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    _, _, behind = page.partition("- No `except Exception`")
    said = set(re.findall(r"`([a-z_/]+\.py)`", behind.partition("\n- ")[0]))
    found = {
        path.relative_to(ROOT).as_posix()
        for package in PACKAGES
        for path in (ROOT / package).rglob("*.py")
        if re.search(r"^ *except\*? Exception\b", path.read_text("utf-8"), re.MULTILINE)
    }
    assert found == said
