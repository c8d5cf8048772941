"""Broker in, one transaction out, then acknowledge. Begin with `ingest.pipeline`."""
