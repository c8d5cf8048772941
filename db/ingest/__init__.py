"""Tables that ingest reads to know who sends, and writes to remember."""
