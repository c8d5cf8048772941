"""Servers and roles as child processes on one machine."""
