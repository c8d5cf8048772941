"""Attackers beside victims."""
