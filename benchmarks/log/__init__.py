"""Measurements of the log alone, without listeners and ingest."""
