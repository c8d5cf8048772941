"""Devices that may sign in, their sessions, and their connections."""
