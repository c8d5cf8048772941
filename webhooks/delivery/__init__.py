"""Webhooks on their way to subscribers."""
