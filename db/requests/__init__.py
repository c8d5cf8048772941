"""Records of requests: repeats, counts, audit events."""
