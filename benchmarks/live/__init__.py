"""Measurements of the live side of the API."""
