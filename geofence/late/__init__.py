"""Fixes that come late: the past judged again, and what is told of it."""
