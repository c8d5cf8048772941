"""Trace files: their rows, brought into order of time."""
