"""What happens to the work of an organization, as wholes: each function does one thing that people
or devices ask for, in the caller's transaction. The rules are those of `geofence` and `operations`,
the statements those of `db`.
"""
