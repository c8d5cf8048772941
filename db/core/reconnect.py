"""The pause between two tries to reach a database that is away."""

RECONNECT_S = 1.0
"""The longest such pause, of pools and of every loop of a role: a pause may grow, but not beyond. So
each role works again within two seconds of the database's return, however long that was away.
"""
