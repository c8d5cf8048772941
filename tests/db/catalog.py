"""The catalogue of a database: all that makes its schema, without the order of columns.

Two databases with equal catalogues answer every statement alike, if it names its columns.
"""

import psycopg
from psycopg import sql

# Chunks of a hypertable are made like it.
_OURS = """
n.nspname = 'public' AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = {oid} AND deptype = 'e')
"""

# One line of text an object. A constraint that came later than its table is NOT VALID where rows of
# before were not looked at; it judges new rows like any other.
_ASPECTS = {
    "extensions": "SELECT extname FROM pg_extension",
    "schemas": """
SELECT format('%s of %s: %s', nspname, nspowner::regrole, (
           SELECT array_agg(entry::text ORDER BY entry::text)
             FROM unnest(coalesce(nspacl, acldefault('n', nspowner))) AS entry))
  FROM pg_namespace WHERE nspname IN ('public', 'gps_chunks', 'attempt_chunks')
""",
    "tables": """
SELECT format('%s (%s%s) of %s: security %s %s, identity %s, options %s, %s', c.oid::regclass,
              c.relkind, c.relpersistence, c.relowner::regrole, c.relrowsecurity,
              c.relforcerowsecurity, c.relreplident, c.reloptions, (
           SELECT array_agg(entry::text ORDER BY entry::text)
             FROM unnest(coalesce(c.relacl, acldefault('r', c.relowner))) AS entry))
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'c') AND {c}
""",
    "columns": """
SELECT format('%s.%s: %s%s, default %s, generated %L, identity %L, collation %s, storage %s,'
              ' compression %L, statistics %s, %s',
              c.oid::regclass, a.attname, format_type(a.atttypid, a.atttypmod),
              CASE WHEN a.attnotnull THEN ' NOT NULL' END, pg_get_expr(d.adbin, d.adrelid),
              a.attgenerated, a.attidentity, a.attcollation::regcollation, a.attstorage,
              a.attcompression, a.attstattarget, (
           SELECT array_agg(entry::text ORDER BY entry::text) FROM unnest(a.attacl) AS entry))
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
  LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
 WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'c') AND {c}
""",
    "constraints": """
SELECT format('%s.%s: %s', c.oid::regclass, s.conname,
              replace(pg_get_constraintdef(s.oid), ' NOT VALID', ''))
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_constraint s ON s.conrelid = c.oid
 WHERE {c}
""",
    "indexes": """
SELECT format('%s, valid %s, clustered %s', pg_get_indexdef(i.indexrelid), i.indisvalid,
              i.indisclustered)
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_index i ON i.indrelid = c.oid
 WHERE {c}
""",
    # Triggers of one time and action fire in the order of their names.
    "triggers": """
SELECT format('%s, enabled %s', pg_get_triggerdef(t.oid), t.tgenabled)
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_trigger t ON t.tgrelid = c.oid AND NOT t.tgisinternal
 WHERE {c}
""",
    "policies": """
SELECT format('%s.%s (%s, permissive %s) to %s: using %s, check %s', c.oid::regclass, p.polname,
              p.polcmd, p.polpermissive, p.polroles::regrole[], pg_get_expr(p.polqual, c.oid),
              pg_get_expr(p.polwithcheck, c.oid))
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_policy p ON p.polrelid = c.oid
 WHERE {c}
""",
    "rules": """
SELECT pg_get_ruledef(r.oid)
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_rewrite r ON r.ev_class = c.oid
 WHERE {c}
""",
    "statistics": """
SELECT pg_get_statisticsobjdef(s.oid)
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_statistic_ext s ON s.stxrelid = c.oid
 WHERE {c}
""",
    # With body, language, volatility, parallel safety, SECURITY DEFINER and settings.
    "functions": """
SELECT format('%s of %s: %s', pg_get_functiondef(p.oid), p.proowner::regrole, (
           SELECT array_agg(entry::text ORDER BY entry::text)
             FROM unnest(coalesce(p.proacl, acldefault('f', p.proowner))) AS entry))
  FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
 WHERE p.prokind IN ('f', 'p') AND {p}
""",
    "other functions": """
SELECT p.oid::regprocedure::text
  FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
 WHERE p.prokind NOT IN ('f', 'p') AND {p}
""",
    "types": """
SELECT format('%s (%s) of %s', t.oid::regtype, t.typtype, t.typowner::regrole)
  FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
 WHERE t.typtype IN ('d', 'e', 'r', 'm') AND {t}
""",
    "sequences": """
SELECT format('%s of %s.%s: %s, from %s by %s, %s to %s, cache %s, cycle %s, %s',
              c.oid::regclass, d.refobjid::regclass, a.attname, s.seqtypid::regtype, s.seqstart,
              s.seqincrement, s.seqmin, s.seqmax, s.seqcache, s.seqcycle, (
           SELECT array_agg(entry::text ORDER BY entry::text)
             FROM unnest(coalesce(c.relacl, acldefault('s', c.relowner))) AS entry))
  FROM pg_sequence s JOIN pg_class c ON c.oid = s.seqrelid
  JOIN pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN pg_depend d ON d.objid = c.oid AND d.deptype IN ('a', 'i') AND d.refobjsubid > 0
  LEFT JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
 WHERE {c}
""",
    "default privileges": """
SELECT format('%s in %s (%s): %s', defaclrole::regrole, defaclnamespace::regnamespace,
              defaclobjtype, defaclacl)
  FROM pg_default_acl
""",
    "comments": """
SELECT format('%s: %s', pg_describe_object(classoid, objoid, objsubid), description)
  FROM pg_description d JOIN pg_class c ON d.classoid = 'pg_class'::regclass AND c.oid = d.objoid
  JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE {c}
""",
    "settings of roles": """
SELECT format('%s: %s', setrole::regrole, setconfig) FROM pg_db_role_setting
 WHERE setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
""",
    "hypertables": """
SELECT format('%s of %s: by %s (%s), chunks of %s, compression %s', h.hypertable_name, h.owner,
              d.column_name, d.column_type, d.time_interval, h.compression_enabled)
  FROM timescaledb_information.hypertables h
  JOIN timescaledb_information.dimensions d USING (hypertable_schema, hypertable_name)
""",
    "schemas of chunks": """
SELECT format('%s: %s, prefix %s', table_name, associated_schema_name,
              regexp_replace(associated_table_prefix, '[0-9]+', 'N'))
  FROM _timescaledb_catalog.hypertable
""",
    "jobs of hypertables": """
SELECT format('%s every %s on %s: %s', proc_name, schedule_interval, hypertable_name, config)
  FROM timescaledb_information.jobs WHERE hypertable_name IS NOT NULL
""",
    "leases": "SELECT name FROM leases",
    "revisions": "SELECT count(*)::text FROM zones_revision",
}


def catalogue(conn: psycopg.Connection) -> set[str]:
    """Return a line of each object, with its aspect before it."""
    ours = {name: sql.SQL(_OURS.format(oid=f"{name}.oid").strip()) for name in "cpt"}
    return {
        f"{aspect}: {text}"
        for aspect, query in _ASPECTS.items()
        for (text,) in conn.execute(sql.SQL(query).format(**ours))
    }
