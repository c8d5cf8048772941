"""Trace files, read in pieces."""
