"""Rows of background work that fail as nobody foresaw: they wait, and nobody else does."""
