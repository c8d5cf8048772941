"""Whose tracker it is, which asset carried it when, which zones there are."""
