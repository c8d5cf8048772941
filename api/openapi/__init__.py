"""The OpenAPI document, the catalogue of event types and the reference page."""
