"""A trace file evaluated against a zone file, without a server."""
