"""Versions of zones, and the indexes that find those near a place."""
