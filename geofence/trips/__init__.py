"""Trips and stops: where something stayed, and how it went from one place to the next."""
