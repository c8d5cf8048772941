"""Webhooks: how soon they arrive, how many a second, and beside an endpoint that hangs."""
