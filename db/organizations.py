"""Organizations: the tenants."""

from uuid import UUID

from db.connect import Connection
from db.ids import new_id
from db.tenant import act_for


async def create_organization(
    conn: Connection, *, name: str, email: str, password_hash: str, plan: str
) -> UUID:
    """A new organization with its first admin, inside the caller's transaction, as opsc_owner.

    Raises psycopg.errors.CheckViolation for a name, an address or a plan that the schema refuses.
    """
    org_id = new_id()
    await act_for(conn, org_id)
    await conn.execute(
        "INSERT INTO organizations (org_id, name, plan) VALUES (%s, %s, %s)", (org_id, name, plan)
    )
    await conn.execute(
        """
        INSERT INTO users (org_id, id, email, password_hash, role)
        VALUES (%s, %s, lower(%s), %s, 'admin')
        """,
        (org_id, new_id(), email, password_hash),
    )
    return org_id
