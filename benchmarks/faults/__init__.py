"""A whole system broken on purpose, row by row."""
