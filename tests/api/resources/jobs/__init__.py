"""Tests of jobs: the API that makes them, the loop that does them, and ingest."""
