"""The rows that the listener reads from and writes to the database."""
