"""Messages on their way to the leader of ingest, and its answers."""
