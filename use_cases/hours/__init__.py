"""Shifts: derived from punches, and checked against them."""
