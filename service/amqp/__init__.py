"""The log between listeners and ingest: where it is, and its queues."""
