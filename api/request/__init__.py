"""From a request to its handler: who asks, arguments, idempotency, pages, references."""
