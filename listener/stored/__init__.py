"""The data that the listener reads from and writes to the database."""
