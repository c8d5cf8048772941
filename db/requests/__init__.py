"""What is kept of requests: repeats, counts, audit events."""
