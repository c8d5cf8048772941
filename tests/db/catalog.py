"""The schema of a database as a page of text: what docs/schema.md must say.

python -m tests.db.catalog > docs/schema.md      writes the page anew
"""

import psycopg

TITLE = """# Schema

Written by `python -m tests.db.catalog > docs/schema.md`; a test holds it against what the
migrations make. Every table with `org_id` has row-level security, enabled and forced; `opsc_app`
sees the rows of one organization and owns nothing.
"""

_TABLES = """
SELECT c.oid, c.relname, c.relrowsecurity AND c.relforcerowsecurity
  FROM pg_class c
 WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')
 ORDER BY c.relname
"""
_COLUMNS = """
SELECT a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull
  FROM pg_attribute a WHERE a.attrelid = %s AND a.attnum > 0 AND NOT a.attisdropped
 ORDER BY a.attnum
"""
_CONSTRAINTS = """
SELECT pg_get_constraintdef(oid) FROM pg_constraint
 WHERE conrelid = %s AND contype IN ('p', 'u', 'f', 'x') ORDER BY contype, 1
"""
_INDEXES = """
SELECT pg_get_indexdef(i.indexrelid) FROM pg_index i
 WHERE i.indrelid = %s AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = i.indexrelid)
 ORDER BY 1
"""
_POLICIES = """
SELECT polname || CASE WHEN polqual IS NULL THEN ' of new rows' ELSE '' END,
       regexp_replace(pg_get_expr(coalesce(polqual, polwithcheck), polrelid), '\\s+', ' ', 'g')
  FROM pg_policy WHERE polrelid = %s ORDER BY polname
"""
_RIGHTS = """
SELECT grantee, string_agg(right_, ', ' ORDER BY right_) FROM (
    SELECT grantee, privilege_type AS right_ FROM information_schema.table_privileges
     WHERE table_schema = 'public' AND table_name = %(table)s AND grantee <> 'opsc_owner'
    UNION
    SELECT c.grantee, c.privilege_type || ' (' || string_agg(c.column_name, ', '
               ORDER BY c.column_name) || ')'
      FROM information_schema.column_privileges c
     WHERE c.table_schema = 'public' AND c.table_name = %(table)s AND c.grantee <> 'opsc_owner'
       AND NOT EXISTS (SELECT FROM information_schema.table_privileges t
                        WHERE t.table_schema = 'public' AND t.table_name = c.table_name
                          AND t.grantee = c.grantee AND t.privilege_type = c.privilege_type)
     GROUP BY c.grantee, c.privilege_type
) AS rights GROUP BY grantee ORDER BY grantee
"""


def describe(url: str) -> str:
    """Return the page for the database at `url`."""
    with psycopg.connect(url) as conn:
        tables = conn.execute(_TABLES).fetchall()
        return TITLE + "".join(_table(conn, *table) for table in tables)


def _table(conn: psycopg.Connection, oid: int, name: str, secured: bool) -> str:
    lines = [f"\n## {name}\n", "| column | type | |", "|---|---|---|"]
    for column, kind, required in conn.execute(_COLUMNS, (oid,)):
        lines.append(f"| {column} | {kind} | {'required' if required else ''} |")
    lines.append("")
    lines += [f"- {text}" for (text,) in conn.execute(_CONSTRAINTS, (oid,))]
    lines += [
        f"- {text.split(' ON ')[0]}: {_where(text)}" for (text,) in conn.execute(_INDEXES, (oid,))
    ]
    if secured:
        for policy, condition in conn.execute(_POLICIES, (oid,)):
            lines.append(f"- row-level security, policy {policy}: {condition}")
    lines += [f"- {role}: {rights}" for role, rights in conn.execute(_RIGHTS, {"table": name})]
    return "\n".join(lines) + "\n"


def _where(index: str) -> str:
    return index[index.index(" USING ") + 1 :]


def main() -> None:
    from stack.host.programs import provision
    from tests.servers import running_servers

    with running_servers(provision()) as servers:
        print(describe(servers.start_postgres().migrated_database().url("admin")), end="")


if __name__ == "__main__":
    main()
