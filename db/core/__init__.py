"""Connections, tenants, migrations, and what all tables share."""
