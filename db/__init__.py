"""Every SQL statement, role, policy and migration; one file per table.

Functions take a connection and never commit: the transaction belongs to the caller.
"""
