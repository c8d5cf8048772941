"""Punches: recorded, amended, reviewed."""
