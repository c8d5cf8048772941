"""The way from a request to its handler: caller, arguments, idempotency, pages, references."""
