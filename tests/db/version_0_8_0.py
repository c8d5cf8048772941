"""The schema as version 0.8.0 made it, by the 67 migrations that stood before `db/schema.sql`.

They are kept beside this module as they were: databases of that version are upgraded.
"""

import tarfile
from hashlib import sha256
from pathlib import Path

import psycopg

from db.maintenance import migrate

_MIGRATIONS = Path(__file__).with_suffix(".tar.xz")
# A step in Python went through the rows in between. A new database has none.
_AFTER = {
    "0059_zone_shapes.sql": """
ALTER TABLE zone_versions
    ALTER COLUMN geometry_sha256 SET NOT NULL,
    ALTER COLUMN shape_bytes SET NOT NULL,
    DROP COLUMN geometry
"""
}


def migrate_as_then(url: str, most: int = 67) -> None:
    """Make an empty database one of version 0.8.0, or an older one, by its first `most` migrations.

    url: a superuser's login.
    """
    migrate.bootstrap(url)
    with psycopg.connect(url, autocommit=True) as conn, tarfile.open(_MIGRATIONS) as files:
        conn.execute("SET ROLE opsc_owner")
        conn.execute(migrate._LEDGER)
        for version, name in enumerate(sorted(files.getnames())[:most], 1):
            file = files.extractfile(name)
            assert file is not None
            text = file.read()
            with conn.transaction():
                conn.execute("SET CONSTRAINTS ALL IMMEDIATE")
                conn.execute(text + _AFTER.get(name, "").encode())
                conn.execute(
                    "INSERT INTO schema_migrations (version, name, sha256) VALUES (%s, %s, %s)",
                    (version, name, sha256(text).hexdigest()),
                )
