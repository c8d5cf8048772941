"""Punches: the evidence beside them, and how they are judged and stored."""
