"""The HTTP surface: one file per resource.

Every request on a tenant's data runs as the database role opsc_app inside one transaction of that
tenant, so row-level security stands between any two organizations whatever a handler does.
"""
